package compose_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"roost/internal/redistest"
)

// composition is what docker-compose.yml says.
type composition struct {
	Services map[string]service
}

type service struct {
	Image       string
	Command     []string
	Environment map[string]string
	Volumes     []string
	Ports       []string
	ReadOnly    bool   `yaml:"read_only"`
	GracePeriod string `yaml:"stop_grace_period"`
	Healthcheck struct{ Test []string }
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

const root = "../.."

func load(t *testing.T) composition {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var c composition
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// program returns the path of an installed program.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed", name)
	default:
		t.Skipf("%s is not installed", name)
	}
	return path
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// spawn starts a process that ends with the test. What it says is shown if the test failed.
func spawn(t *testing.T, environ []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s %q said:\n%.4000s", name, args, text)
		}
		log.Close()
	})
	return cmd
}

// eventually waits until ok, for two minutes at most: programs of other languages start slowly on a busy machine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got no %s within two minutes", what)
		}
	}
}

// stack is the composition as processes.
type stack struct {
	binary string
	redis  *redistest.Server
	addrs  map[string]string // by the names and ports of the file: gateway-1:4000
	pods   map[string]*exec.Cmd
}

// local replaces the names of services by where they are here.
func (s *stack) local(text string) string {
	for name, addr := range s.addrs {
		text = strings.ReplaceAll(text, name, addr)
	}
	return text
}

// environ returns the environment of a service, with more.
func (s *stack) environ(c composition, name string, more ...string) []string {
	all := []string{"PATH=" + os.Getenv("PATH")}
	for key, value := range c.Services[name].Environment {
		all = append(all, key+"="+s.local(value))
	}
	return append(all, more...)
}

// up starts everything and waits until the proxy reaches both gateways.
func up(t *testing.T) *stack {
	t.Helper()
	c := load(t)
	nginx, python := program(t, "nginx"), program(t, "python3")
	s := &stack{redis: redistest.Start(t), pods: map[string]*exec.Cmd{}, binary: filepath.Join(t.TempDir(), "gateway")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, root+"/cmd/gateway").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s.addrs = map[string]string{"redis:6379": s.redis.Addr(), "backend:8000": freePort(t), "gateway-1:4000": freePort(t),
		"gateway-2:4000": freePort(t), "proxy:8080": freePort(t)}

	port := func(name string) string {
		_, port, err := net.SplitHostPort(s.addrs[name])
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	spawn(t, s.environ(c, "backend", "PORT="+port("backend:8000")), python, "-u", "backend.py")
	eventually(t, "401 from the backend", func() bool {
		response, err := http.Post("http://"+s.addrs["backend:8000"]+"/roost", "application/json", strings.NewReader("{}"))
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusUnauthorized
	})
	for _, name := range []string{"gateway-1", "gateway-2"} {
		admin := freePort(t)
		s.pods[name] = spawn(t, s.environ(c, name, "PORT="+port(name+":4000"), "ROOST_ADMIN_PORT="+admin[strings.LastIndex(admin, ":")+1:],
			"ROOST_ADMIN_HOST=127.0.0.1", "ROOST_POD_ID="+name, "ROOST_DRAIN_DELAY=1ms", "ROOST_DRAIN_TIMEOUT=1s"), s.binary)
		s.awaitHealthy(t, c.Services[name].Healthcheck.Test, admin)
	}
	s.startProxy(t, nginx)
	return s
}

// awaitHealthy runs the file's own health check until it passes.
func (s *stack) awaitHealthy(t *testing.T, test []string, admin string) {
	t.Helper()
	if len(test) < 3 || test[0] != "CMD" || test[1] != "/gateway" {
		t.Fatalf("got health check %q, want a command of the gateway", test)
	}
	eventually(t, fmt.Sprintf("health by %q", test), func() bool {
		cmd := exec.CommandContext(t.Context(), s.binary, test[2:]...)
		cmd.Env = []string{"ROOST_ADMIN_PORT=" + admin[strings.LastIndex(admin, ":")+1:]}
		return cmd.Run() == nil
	})
}

// startProxy runs nginx with the file that the proxy gets, but for addresses and where it may write.
func (s *stack) startProxy(t *testing.T, nginx string) {
	t.Helper()
	data, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	temp := "http {\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("    %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	text := s.local(strings.NewReplacer("listen 8080;", "listen "+s.addrs["proxy:8080"]+";", "http {\n", temp,
		"/dev/stdout", filepath.Join(dir, "access.log")).Replace(string(data)))
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	global := "daemon off; error_log stderr; pid " + filepath.Join(dir, "pid") + ";"
	if os.Getuid() == 0 {
		global += " user root;" // the test's folder is nobody else's
	}
	args := []string{"-p", dir, "-c", conf, "-g", global}
	if out, err := exec.CommandContext(t.Context(), nginx, append([]string{"-t"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	spawn(t, os.Environ(), nginx, args...)
	eventually(t, "answer of the proxy", func() bool {
		client := &http.Client{Timeout: 5 * time.Second}
		response, err := client.Get("http://" + s.addrs["proxy:8080"] + "/socket/longpoll?vsn=2.0.0")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}
