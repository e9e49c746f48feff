package conformance_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// secret signs the webhook calls.
const secret = "whsec_cm9vc3QgY29uZm9ybWFuY2UgdGVzdHMh"

// rules make room:* the only topics there are.
const (
	rulesFile = "topics.yaml"
	rules     = "topics:\n  - {topic: \"room:pres*\", join: webhook, push: webhook, presence: true}\n" +
		"  - {topic: \"room:only-pres*\", join: webhook, push: webhook, presence: true, members: false}\n" +
		"  - {topic: \"room:*\", join: webhook, push: webhook}\n"
)

// settings are environment variables.
type settings map[string]string

// kinds are the mounts of the fixture: one pod each, whose socket path is the kind's name.
var kinds = map[string]settings{
	"socket":  {"ROOST_CHECK_ORIGIN": "//example.com,//*.wild.com,https://secure.com,//port.com:81"},
	"second":  {}, // another pod beside socket
	"noauth":  {"ROOST_IDLE_TIMEOUT": "1s", "ROOST_MAX_MESSAGE_SIZE": "2000"},
	"sub":     {"ROOST_SUBPROTOCOLS": "sip,mqtt"},
	"limited": {"ROOST_MAX_CHANNELS": "1"},
	"comp":    {"ROOST_COMPRESS": "on"},
	"conn":    {"ROOST_CHECK_ORIGIN": "conn"},
	"trueo":   {"ROOST_CHECK_ORIGIN": "//localhost"},
	"big":     {"ROOST_MAX_MESSAGE_SIZE": "10000000"},
	"hasty":   {"ROOST_WEBHOOK_TIMEOUT": "500ms"},
	"lp":      {"ROOST_CHECK_ORIGIN": "//example.com,//*.wild.com,https://secure.com,//port.com:81", "ROOST_LONGPOLL_WINDOW": "2s"},
	"nolp":    {"ROOST_LONGPOLL": "off"},
	"patient": {"ROOST_SOCKET_PATH": "/lp", "ROOST_LONGPOLL_WINDOW": "20s"},
	"narrow":  {"ROOST_OUTBOX_LIMIT": "64KiB", "ROOST_LONGPOLL_WINDOW": "60s"},
}

// pod is one gateway process.
type pod struct {
	kind  string
	addr  string // host and port for clients
	admin string // host and port for operators
	cmd   *exec.Cmd
	log   *os.File
}

var (
	podCount   atomic.Int64
	sharedPods = struct {
		sync.Mutex
		started map[string]func() (*pod, error)
	}{started: map[string]func() (*pod, error){}}
)

// sharedPod returns the pod of a kind, which is started by the first test that wants it.
func sharedPod(t testing.TB, kind string) *pod {
	t.Helper()
	return sharedTwin(t, kind, 1)
}

// sharedTwin returns the nth pod of a kind.
func sharedTwin(t testing.TB, kind string, n int) *pod {
	t.Helper()
	name := fmt.Sprint(kind, n)
	sharedPods.Lock()
	start := sharedPods.started[name]
	if start == nil {
		start = sync.OnceValues(func() (*pod, error) { return startPod(kind, kinds[kind], lab.redis.url()) })
		sharedPods.started[name] = start
	}
	sharedPods.Unlock()
	p, err := start()
	if err != nil {
		t.Fatalf("pod %s: %v", kind, err)
	}
	return p
}

func stopSharedPods() {
	for kind, start := range sharedPods.started {
		if p, err := start(); err == nil {
			if err := p.stop(); err != nil {
				complain(fmt.Errorf("pod %s: %w", kind, err))
			}
		}
	}
}

// ownPod starts a pod for one test, mounted at /socket.
func ownPod(t testing.TB, redisURL string, more settings) *pod {
	t.Helper()
	p, err := startPod("socket", more, redisURL)
	if err != nil {
		t.Fatalf("pod: %v", err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("stop the pod: %v", err)
		}
	})
	return p
}

// startPod starts a gateway and waits until it is ready.
func startPod(kind string, more settings, redisURL string) (*pod, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	adminPort, err := freePort()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%d", kind, podCount.Add(1))
	environment := settings{
		"PATH":                  os.Getenv("PATH"),
		"PORT":                  fmt.Sprint(port),
		"ROOST_ADMIN_PORT":      fmt.Sprint(adminPort),
		"ROOST_ADMIN_HOST":      "127.0.0.1",
		"REDIS_URL":             redisURL,
		"LOG_FORMAT":            "text",
		"ROOST_POD_ID":          name,
		"ROOST_SOCKET_PATH":     "/" + kind,
		"ROOST_TOPICS_FILE":     filepath.Join(lab.dir, rulesFile),
		"ROOST_WEBHOOK_URL":     lab.backend.url + "/" + kind,
		"ROOST_WEBHOOK_SECRET":  secret,
		"ROOST_WEBHOOK_EVENTS":  "connect,join,push,leave,disconnect",
		"ROOST_CONNECT_HEADERS": "x-case",
		"ROOST_DRAIN_DELAY":     "0s",
		"ROOST_DRAIN_TIMEOUT":   "1s",
		"ROOST_WEBHOOK_BREAKER": "off", // one test's failures are not another's
		"ROOST_ADVERTISE_URL":   fmt.Sprintf("http://127.0.0.1:%d", port),
	}
	maps.Copy(environment, more)
	p := &pod{kind: kind, addr: fmt.Sprintf("127.0.0.1:%d", port), admin: fmt.Sprintf("127.0.0.1:%d", adminPort)}
	if p.log, err = os.Create(filepath.Join(lab.dir, name+".log")); err != nil {
		return nil, err
	}
	binary := lab.binary
	if other, found := environment["-binary"]; found { // of another version
		binary = other
		delete(environment, "-binary")
	}
	p.cmd = exec.Command(binary)
	for k, v := range environment {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.awaitReady(30 * time.Second); err != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		text, _ := os.ReadFile(p.log.Name())
		return nil, fmt.Errorf("%w; it says:\n%.2000s", err, text)
	}
	return p, nil
}

// awaitReady waits until /readyz says 200.
func (p *pod) awaitReady(patience time.Duration) error {
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + p.admin + "/readyz")
		if err != nil {
			last = err
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
		last = errors.New(response.Status)
	}
	return fmt.Errorf("not ready: %w", last)
}

// stop asks the process to end and returns how it ended.
func (p *pod) stop() error {
	defer p.log.Close()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("it was gone already: %w", err)
	}
	dead := make(chan error, 1)
	go func() { dead <- p.cmd.Wait() }()
	select {
	case err := <-dead:
		return err
	case <-time.After(20 * time.Second):
		p.cmd.Process.Kill()
		<-dead
		return errors.New("it did not stop within 20 s of SIGTERM")
	}
}

// path returns the pod's WebSocket path with a query.
func (p *pod) path(query string) string { return "/" + p.kind + "/websocket?" + query }

// url returns the pod's WebSocket URL with a query.
func (p *pod) url(query string) string { return "ws://" + p.addr + p.path(query) }
