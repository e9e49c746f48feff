package conformance_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// lab is what all tests share.
var lab struct {
	dir     string // for the binary, logs and sockets
	binary  string
	redis   *redisServer
	backend *backend
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runLab(m))
}

// runLab runs the tests and returns the exit code. Pods that raced or panicked fail them all.
func runLab(m *testing.M) (code int) {
	var err error
	if lab.dir, err = os.MkdirTemp("", "roost-conformance-"); err != nil {
		return complain(err)
	}
	defer func() {
		if code == 0 {
			os.RemoveAll(lab.dir)
			return
		}
		fmt.Fprintln(os.Stderr, "the pods' logs are in", lab.dir)
	}()
	if lab.binary, err = build(lab.dir); err != nil {
		return complain(err)
	}
	if err = os.WriteFile(filepath.Join(lab.dir, rulesFile), []byte(rules), 0o600); err != nil {
		return complain(err)
	}
	if lab.redis, err = startRedis(); err != nil {
		return complain(err)
	}
	defer lab.redis.kill()
	if lab.backend, err = newBackend(); err != nil {
		return complain(err)
	}
	defer lab.backend.close()
	code = m.Run()
	stopSharedPods()
	if faults := lab.backend.faults(); len(faults) > 0 {
		code = complain(fmt.Errorf("webhook calls that a backend must refuse: %q", faults))
	}
	logs, err := filepath.Glob(filepath.Join(lab.dir, "*.log"))
	if err != nil {
		return complain(err)
	}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			return complain(err)
		}
		for _, sign := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if i := bytes.Index(text, []byte(sign)); i >= 0 {
				code = complain(fmt.Errorf("%s says %.3000s", name, text[i:]))
			}
		}
	}
	return code
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "conformance:", err)
	return 1
}

// build compiles the gateway and returns where it is.
func build(dir string) (string, error) {
	binary := filepath.Join(dir, "gateway")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "roost/cmd/gateway")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return binary, nil
}
