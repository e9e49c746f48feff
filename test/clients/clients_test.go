package clients_test

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestClients runs the JavaScript tests of this folder.
func TestClients(t *testing.T) {
	for _, program := range []string{"npm", "node", "redis-server", "redis-cli", "chromium"} {
		need(t, program)
	}
	if !installed() {
		if out, err := command(t, "npm", "install").CombinedOutput(); err != nil {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
	}
	run := command(t, "npm", "test")
	if raceEnabled {
		run.Env = append(os.Environ(), "RACE=1")
	}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("npm test: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// need skips the test where a program is missing. Under CI nothing may be skipped.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed: no test of real clients", program)
}

// installed tells whether npm has installed what package.json asks for.
func installed() bool {
	want, err := os.Stat("package.json")
	if err != nil {
		return false
	}
	got, err := os.Stat("node_modules/.package-lock.json")
	return err == nil && !got.ModTime().Before(want.ModTime())
}

// command returns a command that ends with the test, and takes what it started with it.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-10*time.Second))
		t.Cleanup(cancel)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
