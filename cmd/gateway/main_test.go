package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails if run leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a program may take to say something.
const patience = 20 * time.Second

// program is a gateway that runs in this process.
type program struct {
	t    *testing.T
	stop context.CancelFunc
	code chan int

	mu  sync.Mutex
	log bytes.Buffer
}

// start runs the program on free ports. It is stopped when the test ends.
func start(t *testing.T, args []string, environ ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{t: t, stop: stop, code: make(chan int, 1)}
	environ = append([]string{"PORT=0", "ROOST_ADMIN_PORT=0", "LOG_FORMAT=text", "ROOST_DRAIN_DELAY=0s"}, environ...)
	go func() { p.code <- run(ctx, args, environ, io.Discard, p) }()
	t.Cleanup(func() {
		p.exit()
		http.DefaultClient.CloseIdleConnections()
	})
	return p
}

// Write collects what the program writes to stderr.
func (p *program) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(data)
}

func (p *program) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// find waits until the program has written what matches, and returns the match's groups.
func (p *program) find(pattern string) []string {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(p.stderr()); found != nil {
			return found
		}
	}
	p.t.Fatalf("got no %s in\n%s", pattern, p.stderr())
	return nil
}

// ports waits until the program is ready and returns where clients and operators find it.
func (p *program) ports() (clients, admin string) {
	p.t.Helper()
	found := p.find(`msg=ready .*clients=(\S+) admin=(\S+)`)
	return found[1], found[2]
}

// exit stops the program as a signal does, waits, and returns its exit code.
func (p *program) exit() int {
	p.t.Helper()
	p.stop()
	select {
	case code := <-p.code:
		p.code <- code
		return code
	case <-time.After(patience):
		p.t.Fatalf("the program did not end within %v:\n%s", patience, p.stderr())
		return -1
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestCommands(t *testing.T) {
	for name, c := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"help":              {[]string{"help"}, exitOK, "gateway dev", ""},
		"help as a flag":    {[]string{"--help"}, exitOK, "gateway dev", ""},
		"version":           {[]string{"version"}, exitOK, "roost ", ""},
		"unknown":           {[]string{"sreve"}, exitUsage, "", `no command "sreve"; there are serve`},
		"too many words":    {[]string{"dev", "--port", "1"}, exitUsage, "", "settings come from the environment"},
		"nothing is set":    {nil, exitError, "", "REDIS_URL: not set"},
		"config of nothing": {[]string{"config"}, exitError, "ROOST_IDLE_TIMEOUT", "REDIS_URL: not set"},
		"dev, wrongly set":  {[]string{"dev"}, exitError, "", "ROOST_DRAIN_TIMEOUT: "},
	} {
		t.Run(name, func(t *testing.T) {
			var environ []string
			if name == "dev, wrongly set" {
				environ = []string{"ROOST_DRAIN_TIMEOUT=long"}
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, environ, &stdout, &stderr); code != c.code {
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
			if !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("got stdout %q and stderr %q, want %q and %q in them", &stdout, &stderr, c.stdout, c.stderr)
			}
		})
	}
}

func TestPortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, number, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"PORT", "ROOST_ADMIN_PORT"} {
		p := start(t, []string{"dev"}, setting+"="+number)
		if code := <-p.code; code != exitError {
			t.Errorf("%s: got exit code %d, want %d", setting, code, exitError)
		}
		p.code <- exitError
		if want := "gateway: " + setting + "=" + number + ": "; !strings.Contains(p.stderr(), want) {
			t.Errorf("got %q, want %q in it", p.stderr(), want)
		}
	}
}
