// Longpoll loads a gateway with long-poll sessions that each hold a poll, and prints what one costs: bytes of RSS while
// it is held, and CPU per delivery. It speaks HTTP over bare sockets, so that the client is not the bottleneck.
//
//	go run ./bench/longpoll -url http://127.0.0.1:4000 -pid $(pgrep -x gateway) -redis 127.0.0.1:6379
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	base     = flag.String("url", "http://127.0.0.1:4000", "base URL of the gateway")
	pid      = flag.Int("pid", 0, "process of the gateway: RSS and CPU are read off /proc")
	redis    = flag.String("redis", "127.0.0.1:6379", "Redis to publish to")
	sessions = flag.Int("sessions", 5000, "long-poll sessions, each with one held poll")
	rate     = flag.Duration("every", 250*time.Millisecond, "pause between publishes")
	count    = flag.Int("count", 40, "publishes to the one topic that all have joined")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

var delivered atomic.Int64

func run() error {
	u, err := url.Parse(*base)
	if err != nil {
		return err
	}
	before := read(*pid)
	group := errgroup.Group{}
	group.SetLimit(64)
	for range *sessions {
		group.Go(func() error {
			c, err := join(u.Host)
			if err == nil {
				go c.poll()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	time.Sleep(4 * time.Second)
	held := read(*pid)
	fmt.Printf("rss_bytes_per_session: %d\n", int(held.rss-before.rss) / *sessions)
	publish, err := net.Dial("tcp", *redis)
	if err != nil {
		return err
	}
	defer publish.Close()
	delivered.Store(0)
	start := read(*pid)
	for range *count {
		body := fmt.Sprintf(`{"event":"m","payload":{"t":%d}}`, time.Now().UnixNano())
		if _, err := fmt.Fprintf(publish, "*3\r\n$7\r\nPUBLISH\r\n$19\r\nroost:topic:rooms:0\r\n$%d\r\n%s\r\n", len(body), body); err != nil {
			return err
		}
		time.Sleep(*rate)
	}
	time.Sleep(2 * time.Second)
	n := delivered.Load()
	fmt.Printf("expected: %d\ndelivered: %d\n", *sessions**count, n)
	fmt.Printf("cpu_us_per_delivery: %.1f\n", (read(*pid).cpu-start.cpu)*1e6/float64(max(n, 1)))
	return nil
}

// client is one session and its connection.
type client struct {
	host, token string
	conn        net.Conn
	in          *bufio.Reader
}

// join opens a session, joins the topic and takes the reply.
func join(host string) (*client, error) {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	c := &client{host: host, conn: conn, in: bufio.NewReaderSize(conn, 1024)}
	body, err := c.ask("GET", "")
	if err != nil {
		return nil, err
	}
	_, rest, _ := bytes.Cut(body, []byte(`"token":"`))
	token, _, found := bytes.Cut(rest, []byte(`"`))
	if !found {
		return nil, fmt.Errorf("no session: %s", body)
	}
	c.token = string(token)
	if body, err = c.ask("POST", `["1","1","rooms:0","phx_join",{}]`); err != nil || !bytes.Contains(body, []byte("200")) {
		return nil, fmt.Errorf("POST: %s %w", body, err)
	}
	if body, err = c.ask("GET", ""); err != nil || !bytes.Contains(body, []byte("phx_reply")) {
		return nil, fmt.Errorf("no join reply: %s %w", body, err)
	}
	return c, nil
}

// ask sends one request and returns the body of its answer.
func (c *client) ask(method, body string) ([]byte, error) {
	_, err := fmt.Fprintf(c.conn, "%s /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\nHost: %s\r\nX-Phoenix-Longpoll-Token: %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s",
		method, c.host, c.token, len(body), body)
	if err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(answer.Body)
}

// poll polls until the connection ends, and counts what comes.
func (c *client) poll() {
	for {
		body, err := c.ask("GET", "")
		if err != nil {
			log.Print(err)
			return
		}
		delivered.Add(int64(bytes.Count(body, []byte(`\"m\"`))))
	}
}

// usage is what a process has used.
type usage struct{ cpu, rss float64 }

func read(pid int) (u usage) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		log.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	for _, i := range []int{11, 12} { // user and system time, in hundredths of a second
		ticks, _ := strconv.ParseFloat(fields[i], 64)
		u.cpu += ticks / 100
	}
	pages, _ := strconv.ParseFloat(fields[21], 64)
	u.rss = pages * float64(os.Getpagesize())
	return u
}
