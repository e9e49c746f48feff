package k8s_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// update writes what the tests compare with: golden renders, the components of kustomize and the chart's table of values.
var update = flag.Bool("update", false, "write the files that are rendered")

// missing skips the test, or fails it where nothing may be skipped.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not there: run make tools, which says why if it cannot be had", what)
	}
	t.Skipf("%s is not there: run make tools", what)
}

// cached returns where make tools has put what tools.txt calls name.
func cached(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("tools.txt")
	if err != nil {
		t.Fatal(err)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache")
	}
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) > 3 && words[1] == name {
			path := filepath.Join(cache, "roost", "tools", name+"@"+words[3])
			if words[0] == "tool" {
				path = filepath.Join(path, name)
			}
			if _, err := os.Stat(path); err != nil {
				missing(t, name+" "+words[3])
			}
			return path
		}
	}
	t.Fatalf("tools.txt does not list %s", name)
	return ""
}

// call runs a program and returns what it prints and whether it failed.
func call(t *testing.T, program string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	err = cmd.Run()
	return out.String(), wrong.String(), err
}

var buildGateway = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roost-k8s-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "gateway")
	cmd := exec.Command("go", "build", "-C", "..", "-o", binary, "./cmd/gateway")
	cmd.Stderr = os.Stderr
	return binary, cmd.Run()
})

// gateway returns the path of the gateway's binary.
func gateway(t *testing.T) string {
	t.Helper()
	binary, err := buildGateway()
	if err != nil {
		t.Fatalf("build the gateway: %v", err)
	}
	return binary
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if binary, err := buildGateway(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// golden compares text with a file, or writes it there.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != text {
		t.Errorf("%s is not what is rendered now (error %v): look at it, and run go test -update", file, err)
	}
}
