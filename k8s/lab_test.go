package k8s_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Times of a lab: how often it scrapes, and how often it says that it did.
const (
	realPause = 200 * time.Millisecond
	toldPause = 30 * time.Second
)

// slow is what the lab's backend does instead of answering with a status.
const slow = -1

// lab is a small installation, and what Prometheus would know of it.
type lab struct {
	t         *testing.T
	redisPort int
	redisCmd  *exec.Cmd
	pods      []*labPod
	backend   atomic.Int64 // the status that it answers, or slow
	clients   []*labClient
	series    map[string]*labSeries
	began     time.Time // by the clock that it tells
	told      time.Time
}

type labPod struct {
	port, admin int
	cmd         *exec.Cmd
}

type labSeries struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// newLab starts Redis and pods with these settings, of which pods=N and files=N are the lab's own.
func newLab(t *testing.T, gateway string, place int, settings []string) *lab {
	t.Helper()
	base := 23_000 + os.Getpid()%100*60 + place*2 // outside the range from which others get their ports
	l := &lab{t: t, series: map[string]*labSeries{}, began: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	l.told = l.began
	l.backend.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the end of the connection would not be noticed
		switch status := l.backend.Load(); status {
		case slow:
			<-r.Context().Done()
		case http.StatusOK:
			io.WriteString(w, `{"status":"ok"}`)
		default:
			w.WriteHeader(int(status))
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	dir := t.TempDir()
	rules := filepath.Join(dir, "topics.yaml")
	if err := os.WriteFile(rules, []byte("topics:\n  - {topic: \"open:*\", join: allow, push: broadcast}\n  - {topic: \"*\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.redisPort = labPort(t, base)
	l.redisCmd = exec.Command("redis-server", "--port", fmt.Sprint(l.redisPort), "--bind", "127.0.0.1", "--save", "", "--dir", dir,
		"--client-output-buffer-limit", "pubsub 1gb 1gb 60")
	l.start(l.redisCmd)
	pods, files := 1, 4096
	var environ []string
	for _, s := range settings {
		if n, found := strings.CutPrefix(s, "pods="); found {
			pods, _ = strconv.Atoi(n)
		} else if n, found := strings.CutPrefix(s, "files="); found {
			files, _ = strconv.Atoi(n)
		} else {
			environ = append(environ, s)
		}
	}
	for n := range pods {
		p := &labPod{port: labPort(t, base+100+n), admin: labPort(t, base+200+n)}
		cmd := exec.Command("bash", "-c", fmt.Sprintf("ulimit -n %d; exec %q", files, gateway))
		cmd.Env = append([]string{
			fmt.Sprint("PORT=", p.port), fmt.Sprint("ROOST_ADMIN_PORT=", p.admin), "ROOST_ADMIN_HOST=127.0.0.1", fmt.Sprint("REDIS_URL=redis://127.0.0.1:", l.redisPort),
			"ROOST_WEBHOOK_URL=" + server.URL, "ROOST_TOPICS_FILE=" + rules, "ROOST_DRAIN_DELAY=0s", "ROOST_DRAIN_TIMEOUT=1s",
		}, environ...)
		l.start(cmd)
		p.cmd = cmd
		l.pods = append(l.pods, p)
		l.until("the pod is ready", func() bool {
			response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", p.admin))
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
	return l
}

// labPort returns a free port near one.
func labPort(t *testing.T, port int) int {
	t.Helper()
	for ; port < 32_700; port += 311 {
		if listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func (l *lab) start(cmd *exec.Cmd) {
	l.t.Helper()
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

func (l *lab) until(what string, ok func() bool) {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// redis runs redis-cli.
func (l *lab) redis(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("redis-cli", append([]string{"-p", fmt.Sprint(l.redisPort)}, args...)...).CombinedOutput(); err != nil {
		l.t.Errorf("redis-cli %.100q: %v\n%.300s", args, err, out)
	}
}

func (l *lab) stopRedis()  { l.redisCmd.Process.Kill() }
func (l *lab) forgetPods() { l.pods = nil }
func (l *lab) backendUp()  { time.Sleep(1500 * time.Millisecond); l.backend.Store(http.StatusOK) }

// labClient is a WebSocket, as simple as can be.
type labClient struct{ conn net.Conn }

// client connects to a pod.
func (l *lab) client(pod int) *labClient {
	l.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", l.pods[pod].port))
	if err != nil {
		l.t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		l.t.Fatalf("connect: got %v, %v", response, err)
	}
	c := &labClient{conn}
	l.t.Cleanup(c.close)
	l.clients = append(l.clients, c)
	return c
}

// send sends a text frame, masked with zeros.
func (c *labClient) send(text string) {
	frame := []byte{0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(frame[2:], uint16(len(text)))
	c.conn.Write(append(frame, text...)) // a connection that has ended is part of some faults
}

func (c *labClient) join(topic string) { c.send(fmt.Sprintf(`["1","1",%q,"phx_join",{}]`, topic)) }

func (c *labClient) readAll() {
	c.conn.SetReadDeadline(time.Time{})
	io.Copy(io.Discard, c.conn)
}

func (c *labClient) close() { c.conn.Close() }

var (
	metricLine = regexp.MustCompile(`^(\w+)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

// scrape reads all pods' metrics, and goes on by one interval.
func (l *lab) scrape() {
	l.t.Helper()
	time.Sleep(realPause)
	l.told = l.told.Add(toldPause)
	for n, p := range l.pods {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", p.admin))
		if err != nil {
			l.t.Fatal(err)
		}
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			m := metricLine.FindStringSubmatch(lines.Text())
			if m == nil {
				continue
			}
			value, err := strconv.ParseFloat(m[3], 64)
			if err != nil {
				l.t.Fatal(err)
			}
			if m[1] == "roost_webhook_notice_lag_seconds" { // an age, by the clock that runs faster here
				value *= toldPause.Seconds() / realPause.Seconds()
			}
			l.add(n, m[1], m[2], value)
		}
		response.Body.Close()
	}
}

func (l *lab) add(pod int, name, pairs string, value float64) {
	b := labels.NewBuilder(labels.EmptyLabels())
	b.Set(labels.MetricName, name).Set("job", "live-pods").Set("namespace", "default").Set("pod", fmt.Sprint("pod-", pod))
	for _, p := range labelPair.FindAllStringSubmatch(pairs, -1) {
		b.Set(p[1], p[2])
	}
	ls := b.Labels()
	s := l.series[ls.String()]
	if s == nil {
		s = &labSeries{labels: ls}
		l.series[ls.String()] = s
	}
	s.samples = append(s.samples, labSample{l.told.UnixMilli(), value})
}

// labSample is one number at a time.
type labSample struct {
	t int64
	f float64
}

func (s labSample) T() int64                      { return s.t }
func (s labSample) ST() int64                     { return 0 }
func (s labSample) F() float64                    { return s.f }
func (s labSample) H() *histogram.Histogram       { return nil }
func (s labSample) FH() *histogram.FloatHistogram { return nil }
func (s labSample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s labSample) Copy() chunks.Sample           { return s }

// Querier lets Prometheus' engine ask the lab.
func (l *lab) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		set := &labSet{at: -1}
		for _, s := range l.series {
			fits := true
			for _, m := range matchers {
				fits = fits && m.Matches(s.labels.Get(m.Name))
			}
			if fits {
				set.all = append(set.all, storage.NewListSeries(s.labels, s.samples))
			}
		}
		return set
	}}, nil
}

// labSet is a list of series.
type labSet struct {
	all []storage.Series
	at  int
}

func (s *labSet) Next() bool         { s.at++; return s.at < len(s.all) }
func (s *labSet) At() storage.Series { return s.all[s.at] }
func (s *labSet) Err() error         { return nil }

// Warnings has none.
func (s *labSet) Warnings() annotations.Annotations { return nil }

// evaluate returns what an expression is now, or "" if it is nothing: then the alert is quiet.
func (l *lab) evaluate(expr string) string {
	l.t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{})})
	query, err := engine.NewInstantQuery(context.Background(), l, nil, expr, l.told)
	if err != nil {
		l.t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	if result.Err != nil {
		l.t.Fatal(result.Err)
	}
	vector, err := result.Vector()
	if err != nil {
		l.t.Fatal(err)
	}
	if len(vector) == 0 {
		return ""
	}
	return vector.String()
}
