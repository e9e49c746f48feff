package incidents

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// runbook returns the commands of the runbook, as they stand there.
func runbook(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh runbook\n(.*?)\n```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/operations.md has no runbook")
	}
	steps := strings.Split(string(block[1]), "\n")
	if len(steps) != 6 {
		t.Fatalf("got %d steps, want the 6 that the text explains", len(steps))
	}
	return steps
}

// incident is an installation that prepare.sh has made.
type incident struct {
	t   *testing.T
	env string // the file with its environment
}

// freePorts returns a port such that those of an incident are free, outside the range from which others get theirs.
func freePorts(t *testing.T) int {
	t.Helper()
	for port := 20_000 + os.Getpid()%500*20; port < 32_000; port += 20 {
		free := true
		for _, n := range []int{0, 1, 10, 11} {
			listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+n))
			if err != nil {
				free = false
				break
			}
			listener.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// prepare starts the incident with a number.
func prepare(t *testing.T, gateway string, number int) *incident {
	t.Helper()
	port := freePorts(t)
	cmd := exec.Command("./prepare.sh", fmt.Sprint(number))
	cmd.Env = append(os.Environ(), "GATEWAY="+gateway, fmt.Sprint("INCIDENT_PORT=", port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	})
	late := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
	defer late.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if env, found := strings.CutPrefix(strings.TrimSpace(lines.Text()), ". "); found {
			return &incident{t, env}
		}
	}
	t.Fatal("prepare.sh ended")
	return nil
}

// run runs a command as somebody at a terminal does. That it finds nothing is no error.
func (i *incident) run(step string) string {
	i.t.Helper()
	cmd := exec.Command("bash", "-c", ". "+i.env+"; "+step)
	out, _ := cmd.CombinedOutput()
	i.t.Logf("$ %s\n%.1500s", step, out)
	return string(out)
}

// diagnose follows the runbook, and returns the number of the cause that it leads to.
func (i *incident) diagnose(steps []string) int {
	i.t.Helper()
	if ready := i.run(steps[0]); !strings.Contains(ready, "redis: ok") {
		i.t.Fatal("the pod is not ready")
	}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) { // the client has had the time to join
		members := i.run(steps[1])
		if !strings.Contains(members, `"members":0`) {
			break
		}
		if check := i.run(`gateway check "$SOCKET" "$TOPIC"`); strings.Contains(check, "forbidden") {
			return 5
		}
		if time.Now().After(end) {
			i.t.Fatal("nobody joins")
		}
	}
	if published := i.run(steps[2]); !strings.Contains(published, "1 pod listens") {
		i.t.Errorf("got %s, want the pod to listen", published)
	}
	client := filepath.Join(filepath.Dir(i.env), "client.log")
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		log, _ := os.ReadFile(client)
		if strings.Contains(string(log), "roost:runbook") {
			break
		}
		if time.Now().After(end) {
			i.t.Fatalf("the client did not get what the runbook publishes: %s", log)
		}
	}
	before := i.run(steps[3])
	time.Sleep(time.Second)
	if after := i.run(steps[3]); after != before && strings.Contains(after, "payload_not_an_object") {
		return 2
	}
	seen := i.run(steps[4])
	switch {
	case strings.TrimSpace(seen) == "":
		return 4
	case !strings.Contains(seen, `"roost:topic:rooms:lobby"`):
		return 1
	case regexp.MustCompile(`SHARDED_PUBSUB +on`).MatchString(i.run(steps[5])) && strings.Contains(strings.ToLower(seen), `"publish"`):
		return 3
	}
	i.t.Error("the runbook leads nowhere")
	return 0
}

// TestIncidents: the runbook finds each of the causes.
func TestIncidents(t *testing.T) {
	for _, program := range []string{"redis-server", "redis-cli", "curl", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", program)
			}
			t.Skipf("%s is not installed", program)
		}
	}
	steps := runbook(t)
	gateway := filepath.Join(t.TempDir(), "gateway")
	if out, err := exec.Command("go", "build", "-o", gateway, "roost/cmd/gateway").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for number := 1; number <= 5; number++ {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			if got := prepare(t, gateway, number).diagnose(steps); got != number {
				t.Errorf("the runbook leads to cause %d, want %d", got, number)
			}
		})
	}
}
