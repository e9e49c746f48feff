package backends_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// backend is a row of the README's table.
type backend struct {
	name, file string
	once, run  string // commands
	port       string
	log        string // what the process says
}

var row = regexp.MustCompile("(?m)^\\| \\[(.+)\\]\\((.+?)\\).* \\| (?:`(.+)`)? ?\\| `(.+)` \\| .+ \\|$")

// readme returns the backends of the README's table, which are those that there are.
func readme(t *testing.T) (all []*backend) {
	t.Helper()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(data), -1) {
		all = append(all, &backend{name: m[1], file: m[2], once: m[3], run: m[4]})
		folders[filepath.Dir(m[2])] = true
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !folders[e.Name()] {
			t.Errorf("the README's table has no command for %s", e.Name())
		}
	}
	if len(all) < 6 {
		t.Fatalf("got %d backends in the README's table, want 6", len(all))
	}
	return all
}

func (b *backend) url() string { return "http://127.0.0.1:" + b.port + "/roost" }

// start runs the command of the README, on another port, and waits until calls without a signature are refused.
func (b *backend) start(t *testing.T) {
	t.Helper()
	b.port = freePort(t)
	words := strings.Fields(strings.ReplaceAll(b.run, "3000", b.port))
	environ := append(os.Environ(), "ROOST_WEBHOOK_SECRET="+secret, "PORT="+b.port)
	if _, _, set := strings.Cut(words[0], "="); strings.Contains(words[0], "=") && set {
		environ, words = append(environ, words[0]), words[1:]
	}
	need(t, words[0])
	switch {
	case strings.HasPrefix(b.once, "pip install"):
		environ = append(environ, "PYTHONPATH="+pip(t))
	case strings.HasPrefix(b.once, "npm install"):
		npm(t, b.once)
	}
	b.log = spawn(t, environ, words[0], words[1:]...)
	eventually(t, "401 for a call without a signature", func() bool {
		response, err := http.Post(b.url(), "application/json", strings.NewReader("{}"))
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusUnauthorized
	})
}

// awaitLog waits until the backend has said this.
func (b *backend) awaitLog(t *testing.T, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q from the backend", text), func() bool {
		said, err := os.ReadFile(b.log)
		return err == nil && strings.Contains(string(said), text)
	})
}

// pip installs what the Python backend needs into the user's cache, once, and returns where that is.
func pip(t *testing.T) string {
	t.Helper()
	requirements, err := os.ReadFile("python/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	version, err := command(t, "python3", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "roost", fmt.Sprintf("python-%.8x", sha256.Sum256(append(version, requirements...))))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "python-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	install(t, "python3", "-m", "pip", "install", "--quiet", "--target", fresh, "-r", "python/requirements.txt")
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	return dir
}

// npm runs an npm install, unless it was run since package.json changed.
func npm(t *testing.T, once string) {
	t.Helper()
	want, err := os.Stat("node/package.json")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.Stat("node/node_modules/.package-lock.json"); err == nil && !got.ModTime().Before(want.ModTime()) {
		return
	}
	need(t, "npm")
	words := strings.Fields(once)
	install(t, words[0], append(words[1:], "--no-package-lock", "--no-audit", "--no-fund")...)
}

// install runs a command that fetches something. Where that cannot be had the test is skipped, but not under CI.
func install(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := command(t, name, args...).CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	default:
		t.Skipf("%s %q: %v\n%s", name, args, err, out)
	}
}

// need skips the test where a program is not installed, but fails it under CI.
func need(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed", name)
	default:
		t.Skipf("%s is not installed", name)
	}
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(t.Context(), name, args...)
}

// spawn starts a process that ends with the test, and returns the file that has what it says. It is shown if the test failed.
func spawn(t *testing.T, environ []string, name string, args ...string) (log string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // "go run" starts another
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if text, _ := os.ReadFile(out.Name()); t.Failed() {
			t.Logf("%s %q said:\n%.4000s", name, args, text)
		}
		out.Close()
	})
	return out.Name()
}

// freePort finds a port below those that the system gives to clients.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := fmt.Sprint(10_000 + rand.IntN(20_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port")
	return ""
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
