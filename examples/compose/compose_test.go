package compose_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

const joined = `["1","1","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`

// enter joins the lobby through the proxy.
func (s *stack) enter(t *testing.T) *phoenixtest.Client {
	t.Helper()
	c := phoenixtest.Dial(t, "ws://"+s.addrs["proxy:8080"]+"/socket/websocket?vsn=2.0.0", http.Header{"Origin": {"http://localhost:8000"}})
	c.Send(`["1","1","rooms:lobby","phx_join",{}]`)
	c.Want(joined)
	return c
}

// members returns how many members of the lobby are on a gateway.
func (s *stack) members(t *testing.T, pod string) (n int) {
	t.Helper()
	for _, m := range s.redis.Client.SMembers(t.Context(), "roost:{rooms:lobby}:members").Val() {
		if strings.HasPrefix(m, pod+".") {
			n++
		}
	}
	return n
}

// Clients meet through the proxy, whichever gateway they came to, and find the other one when theirs stops.
func TestWebSocketThroughTheProxy(t *testing.T) {
	s := up(t)
	ann, bob := s.enter(t), s.enter(t)
	for pod := range s.pods {
		if n := s.members(t, pod); n != 1 {
			t.Fatalf("got %d members on %s, want the two clients on two gateways", n, pod)
		}
	}
	bob.Send(`["1","2","rooms:lobby","new_msg",{"body":"hi"}]`)
	ann.Want(`[null,null,"rooms:lobby","new_msg",{"body":"hi"}]`)
	bob.Want(`[null,null,"rooms:lobby","new_msg",{"body":"hi"}]`, `["1","2","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`)
	bob.Send(`["3","3","rooms:secret","phx_join",{}]`)
	bob.Want(`["3","3","rooms:secret","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]`)

	s.checkCommands(t)

	if err := s.pods["gateway-1"].Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of gateway-1", func() bool { return s.members(t, "gateway-1") == 0 })
	s.enter(t)
	s.enter(t)
	if n := s.members(t, "gateway-2"); n != 3 {
		t.Errorf("got %d members on the gateway that is left, want 3", n)
	}
}

// checkCommands runs what the head of the file says to run.
func (s *stack) checkCommands(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	check := regexp.MustCompile(`exec gateway-1 /gateway (check .*)`).FindStringSubmatch(string(data))
	publish := regexp.MustCompile(`redis-cli PUBLISH (\S+) '(.*)'`).FindStringSubmatch(string(data))
	if check == nil || publish == nil {
		t.Fatal("docker-compose.yml does not say how to try it")
	}
	cmd := exec.CommandContext(t.Context(), s.binary, strings.Fields(s.local(check[1]))...)
	cmd.Env = []string{"REDIS_URL=" + s.redis.URL}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "got the message") {
		t.Errorf("gateway %s: got %q, error %v, want a message", check[1], out, err)
	}
	if n, err := s.redis.Client.Publish(t.Context(), publish[1], publish[2]).Result(); err != nil || n != 2 {
		t.Errorf("PUBLISH %s: got %d pods, error %v, want both", publish[1], n, err)
	}
}

// poll sends one long-poll request through the proxy.
func (s *stack) poll(t *testing.T, method, token, body string) (status int, newToken string, messages []string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method,
		"http://"+s.addrs["proxy:8080"]+"/socket/longpoll?vsn=2.0.0&token="+url.QueryEscape(token), bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("content-type", "application/x-ndjson")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status   int
		Token    string
		Messages []json.RawMessage
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Fatalf("%s: got %d %s", method, response.StatusCode, data)
	}
	for _, m := range answer.Messages {
		text := string(m)
		if unquoted := ""; json.Unmarshal(m, &unquoted) == nil {
			text = unquoted
		}
		messages = append(messages, text)
	}
	return answer.Status, answer.Token, messages
}

// A long-poll session works though its requests take turns between the gateways.
func TestLongPollThroughTheProxy(t *testing.T) {
	s := up(t)
	status, token, _ := s.poll(t, "GET", "", "")
	if status != http.StatusGone || token == "" {
		t.Fatalf("got status %d and token %q, want 410 and a token", status, token)
	}
	if status, _, _ := s.poll(t, "POST", token, `["1","1","rooms:lobby","phx_join",{}]`); status != http.StatusOK {
		t.Fatalf("join: got status %d, want 200", status)
	}
	want := []string{joined}
	for n := range 6 {
		message := fmt.Sprintf(`{"event":"new_msg","payload":{"n":%d}}`, n)
		want = append(want, fmt.Sprintf(`[null,null,"rooms:lobby","new_msg",{"n":%d}]`, n))
		if n == 0 {
			eventually(t, "member", func() bool { return s.members(t, "gateway-1")+s.members(t, "gateway-2") == 1 })
		}
		if err := s.redis.Client.Publish(t.Context(), "roost:topic:rooms:lobby", message).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for end := time.Now().Add(20 * time.Second); len(got) < len(want) && time.Now().Before(end); {
		status, _, messages := s.poll(t, "GET", token, "")
		if status != http.StatusOK && status != http.StatusNoContent {
			t.Fatalf("poll: got status %d, want 200 or 204", status)
		}
		got = append(got, messages...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// settingRow matches a name in the README's table of settings.
var settingRow = regexp.MustCompile("`([A-Z][A-Z0-9_]+)`")

func TestComposeFile(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range settingRow.FindAllStringSubmatch(string(readme), -1) {
		known[m[1]] = true
	}
	c := load(t)
	for _, name := range []string{"gateway-1", "gateway-2"} {
		gateway := c.Services[name]
		for setting := range gateway.Environment {
			if !known[setting] {
				t.Errorf("%s: the README does not know %s", name, setting)
			}
		}
		if got, want := gateway.Environment["ROOST_ADVERTISE_URL"], "http://"+name+":4000"; got != want {
			t.Errorf("%s: other pods are told %s, want %s", name, got, want)
		}
		// The defaults of ROOST_DRAIN_DELAY and ROOST_DRAIN_TIMEOUT, and 10 s at most after them.
		if grace, err := time.ParseDuration(gateway.GracePeriod); err != nil || grace < 40*time.Second {
			t.Errorf("%s: got a grace period of %s (error %v), want more than a drain takes", name, gateway.GracePeriod, err)
		}
		if !gateway.ReadOnly || c.Services["proxy"].DependsOn[name].Condition != "service_healthy" {
			t.Errorf("%s: its root is not read-only, or the proxy does not wait for it", name)
		}
	}
	for name, s := range c.Services {
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, port)
			}
		}
		for _, volume := range s.Volumes {
			if file, _, _ := strings.Cut(volume, ":"); !exists(filepath.Join(root, file)) {
				t.Errorf("%s: there is no %s", name, file)
			}
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
