package k8s_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func span(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// spawn starts a program that ends with the test, and shows what it said if the test failed.
func spawn(t *testing.T, environ []string, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(program)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, read(t, log.Name()))
		}
		_ = log.Close()
	})
}

// eventually waits until ok, for 30 s at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got no %s within 30 s", what)
		}
	}
}

func status(url string) int {
	response, err := http.Get(url)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// A pod with the environment of the chart serves, its probes pass, and helm test's own command gets a message from it.
func TestHelmTestGetsAMessage(t *testing.T) {
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		missing(t, "redis-server")
	}
	redisPort, port, adminPort := freePort(t), freePort(t), freePort(t)
	spawn(t, os.Environ(), redis, "--port", redisPort, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())

	for _, path := range []string{"/socket", "/live/:tenant/socket"} {
		all := parse(t, render(t, append([]string{"--set", "socketPath=" + path, "--set", "drain.delay=1ms"}, minimal...)...))
		deployment, check := find(t, all, "Deployment", ""), find(t, all, "Pod", "roost-check")
		t.Run(path, func(t *testing.T) {
			vars := environ(t, all, container(t, deployment))
			vars["REDIS_URL"], vars["PORT"], vars["ROOST_ADMIN_PORT"] = "redis://127.0.0.1:"+redisPort, port, adminPort
			spawn(t, pairs(vars), gateway(t))
			for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
				probed := "http://127.0.0.1:" + adminPort + at(container(t, deployment)[probe], "httpGet.path").(string)
				eventually(t, "200 from "+probed, func() bool { return status(probed) == http.StatusOK })
			}

			vars = environ(t, all, container(t, check))
			vars["REDIS_URL"] = "redis://127.0.0.1:" + redisPort
			var args []string
			for _, arg := range container(t, check)["args"].([]any) {
				args = append(args, arg.(string))
			}
			target, err := url.Parse(args[1])
			if err != nil || target.Host != "roost.default.svc:80" {
				t.Fatalf("got URL %s (error %v), want the Service's", args[1], err)
			}
			target.Host = "127.0.0.1:" + port
			args[1] = target.String()
			cmd := exec.CommandContext(t.Context(), gateway(t), args...)
			cmd.Env = pairs(vars)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "got the message") {
				t.Errorf("gateway %q: got %q, error %v, want a message", args, out, err)
			}
		})
	}
}
