package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/gateway"
)

// secret is a webhook secret that must never be seen.
const secret = "whsec_bm9ib2R5IG1heSBzZWUgdGhpcw=="

// good is enough to serve.
var good = []string{"REDIS_URL=redis://:hunter2@localhost:1", "ROOST_WEBHOOK_URL=http://localhost:1", "ROOST_WEBHOOK_SECRET=" + secret}

// load returns the config of gateway with environ, and all errors, one per line.
func load(environ ...string) (*config, string) {
	cfg, err := loadConfig(environ, false, false)
	if err != nil {
		return cfg, err.Error()
	}
	return cfg, ""
}

func with(environ []string, more ...string) []string {
	return append(append([]string(nil), environ...), more...)
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigDefaults(t *testing.T) {
	cfg, wrong := load(good...)
	if wrong != "" {
		t.Fatalf("got errors %s, want none", wrong)
	}
	for name, c := range map[string]struct{ got, want string }{
		"port":         {cfg.Port.String(), "4000"},
		"admin port":   {cfg.AdminPort.String(), "4001"},
		"admin host":   {cfg.AdminHost, ""},
		"client host":  {cfg.host, ""},
		"log format":   {string(cfg.LogFormat), "json"},
		"socket path":  {cfg.SocketPath, "/socket"},
		"idle timeout": {cfg.IdleTimeout.String(), "1m"},
		"drain delay":  {cfg.DrainDelay.String(), "5s"},
		"age":          {cfg.MaxConnectionAge.String(), "off"},
		"connections":  {cfg.MaxConnections.String() + cfg.MaxConnectionsPerIP.String() + cfg.MaxConnectionsPerID.String(), "offoffoff"},
		"rates":        {cfg.ConnectRate.String() + cfg.ConnectRatePerIP.String() + cfg.FailedConnectsPerIP.String(), "offoffoff"},
		"pace":         {cfg.MessageRate.String() + cfg.JoinRate.String(), "offoff"},
		"refusals":     {cfg.RefusalMemory.String(), "5s"},
		"topic size":   {cfg.MaxTopicSize.String(), "1KiB"},
		"payload size": {cfg.MaxPayloadSize.String(), ""},
		"proxies":      {cfg.TrustedProxies.String(), ""},
		"breaker":      {cfg.WebhookBreaker.String(), "50%"},
		"slow":         {cfg.WebhookBreakerSlow.String(), ""},
		"retries":      {cfg.WebhookRetries.String(), "3"},
		"sharded":      {cfg.RedisSharded.String(), "off"},
		"events":       {cfg.WebhookEvents.String(), "join,push,leave"},
		"headers":      {cfg.ConnectHeaders.String(), "user-agent"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", name, c.got, c.want)
		}
	}
	if cfg.rules.Match("any:topic") == nil {
		t.Error("rules: got none for any:topic, want the default rule")
	}
}

func TestConfigErrors(t *testing.T) {
	rules := write(t, "topics.yaml", "topics:\n  - topic: \"rooms:*\"\n    jion: allow\n")
	for name, c := range map[string]struct{ environ, want string }{
		"unknown name":            {"ROOST_IDEL_TIMEOUT=1s", "ROOST_IDEL_TIMEOUT: no such setting; did you mean ROOST_IDLE_TIMEOUT?"},
		"name of another product": {"ROOST_WEBHOOK_URI=x", "ROOST_WEBHOOK_URI: no such setting; did you mean ROOST_WEBHOOK_URL?"},
		"jwks url":                {"ROOST_JWT_JWKS_URL=x", "ROOST_JWT_JWKS_URL: not an http:// or https:// URL with a host"},
		"jwt key":                 {"ROOST_JWT_KEY=short", "ROOST_JWT_KEY: a secret has 5 characters: use 32 or more"},
		"jwt algorithm":           {"ROOST_JWT_ALGORITHMS=HS256", "neither ROOST_JWT_KEY nor ROOST_JWT_JWKS_URL"},
		"api token":               {"ROOST_API_TOKEN=letmein", "ROOST_API_TOKEN: has spaces, or fewer than 16 characters"},
		"port of Kubernetes":      {"PORT=tcp://10.0.0.1:80", `PORT: "tcp://10.0.0.1:80" is not a port (0 to 65535)`},
		"duration":                {"ROOST_IDLE_TIMEOUT=30", `ROOST_IDLE_TIMEOUT: "30" is not a duration such as 30s or 2m`},
		"drain delay":             {"ROOST_DRAIN_DELAY=-1s", `ROOST_DRAIN_DELAY: "-1s" must be more than 0s`},
		"connection age":          {"ROOST_MAX_CONNECTION_AGE=1", `ROOST_MAX_CONNECTION_AGE: "1" is not a duration such as 30s or 2m`},
		"trusted proxies":         {"ROOST_TRUSTED_PROXIES=10.0.0.0/99", `ROOST_TRUSTED_PROXIES: "10.0.0.0/99" is not a network such as 10.0.0.0/8 or 2001:db8::/32`},
		"connections":             {"ROOST_MAX_CONNECTIONS=0", `ROOST_MAX_CONNECTIONS: "0" is not a number above 0`},
		"rate":                    {"ROOST_CONNECT_RATE=20", `ROOST_CONNECT_RATE: "20" is not a rate such as 20/s, 300/m or 1000/h, nor off`},
		"payload size":            {"ROOST_MAX_PAYLOAD_SIZE=off", `ROOST_MAX_PAYLOAD_SIZE: "off" is not a size`},
		"size":                    {"ROOST_OUTBOX_LIMIT=1MB", `ROOST_OUTBOX_LIMIT: "1MB" is not a size such as 64KiB, 1MiB or 65536`},
		"sharded pub/sub":         {"ROOST_REDIS_SHARDED_PUBSUB=7", `ROOST_REDIS_SHARDED_PUBSUB: "7" is neither on nor off`},
		"toggle":                  {"ROOST_COMPRESS=maybe", `ROOST_COMPRESS: "maybe" is neither on nor off`},
		"pod id":                  {"ROOST_POD_ID=a.b", `ROOST_POD_ID: "a.b" may hold up to 100 letters, digits, _ and - only`},
		"pod lease":               {"ROOST_POD_LEASE=2s", "ROOST_POD_LEASE: 2s is less than 3s"},
		"socket path":             {"ROOST_SOCKET_PATH=socket", `ROOST_SOCKET_PATH: "socket" is not a path such as /socket`},
		"redis prefix":            {"ROOST_REDIS_PREFIX={a}:", `ROOST_REDIS_PREFIX: "{a}:" holds a space or one of {}*?[]\`},
		"origin":                  {"ROOST_CHECK_ORIGIN=example.com", `ROOST_CHECK_ORIGIN: "example.com" is not an origin`},
		"events":                  {"ROOST_WEBHOOK_EVENTS=join,push,shout", `ROOST_WEBHOOK_EVENTS: unknown event "shout"`},
		"events the rules need":   {"ROOST_WEBHOOK_EVENTS=join", `ROOST_WEBHOOK_EVENTS does not list push`},
		"breaker":                 {"ROOST_WEBHOOK_BREAKER=0.5", `ROOST_WEBHOOK_BREAKER: "0.5" is neither a share from 1% to 100% nor off`},
		"TLS":                     {"ROOST_WEBHOOK_TLS_CA=/nowhere/ca.pem", "ROOST_WEBHOOK_TLS_CA, _CERT and _KEY: TLS: open /nowhere/ca.pem"},
		"half a pair":             {"ROOST_WEBHOOK_TLS_KEY=key.pem", "one of them is missing"},
		"retries":                 {"ROOST_WEBHOOK_RETRIES=0", `ROOST_WEBHOOK_RETRIES: "0" is neither a number above 0 nor off`},
		"webhook secret":          {"ROOST_WEBHOOK_SECRET=letmein", "ROOST_WEBHOOK_SECRET: secret 1 is not whsec_ followed by base64"},
		"webhook url":             {"ROOST_WEBHOOK_URL=localhost:3000", "ROOST_WEBHOOK_URL: not an http:// or https:// URL with a host"},
		"redis url":               {"REDIS_URL=http://localhost", "REDIS_URL: "},
		"no such rules":           {"ROOST_TOPICS_FILE=/nowhere/at/all", "ROOST_TOPICS_FILE: open /nowhere/at/all"},
		"wrong rules":             {"ROOST_TOPICS_FILE=" + rules, rules + ":3: "},
		"two sources":             {"REDIS_URL_FILE=" + rules, "REDIS_URL and REDIS_URL_FILE are both set: use one"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, wrong := load(with(good, c.environ)...); !strings.Contains(wrong, c.want) {
				t.Errorf("%s: got %q, want %q in it", c.environ, wrong, c.want)
			}
		})
	}
}

func TestConfigTellsAllErrorsAtOnce(t *testing.T) {
	_, wrong := load("ROOST_NONSENSE=1", "PORT=x", "ROOST_IDLE_TIMEOUT=1", "ROOST_CHECK_ORIGIN=x", "ROOST_WEBHOOK_SECRET=x",
		"ROOST_JWT_KEY=x")
	for _, want := range []string{
		"ROOST_NONSENSE: ", "PORT: ", "ROOST_IDLE_TIMEOUT: ", "ROOST_CHECK_ORIGIN: ", "ROOST_WEBHOOK_SECRET: ",
		"ROOST_JWT_KEY: ", "REDIS_URL: not set", "gateway dev", "ROOST_WEBHOOK_URL is not set",
	} {
		if !strings.Contains(wrong, want) {
			t.Errorf("got\n%s\nwant also %q", wrong, want)
		}
	}
}

func TestConfigSecretsFromFiles(t *testing.T) {
	cfg, wrong := load("ROOST_WEBHOOK_URL=http://localhost:1",
		"REDIS_URL_FILE="+write(t, "redis", "redis://:hunter2@localhost:1\r\n"),
		"ROOST_WEBHOOK_SECRET_FILE="+write(t, "secret", secret+"\n"))
	if wrong != "" {
		t.Fatalf("got errors %s, want none", wrong)
	}
	if cfg.RedisURL != "redis://:hunter2@localhost:1" || cfg.WebhookSecret != secret {
		t.Errorf("got %q and %q, want the files' content without the newline", cfg.RedisURL, cfg.WebhookSecret)
	}
	for name, file := range map[string]string{"missing": "/nowhere/at/all", "empty": write(t, "empty", "\n")} {
		if _, wrong := load("ROOST_WEBHOOK_URL=http://localhost:1", "REDIS_URL_FILE="+file); !strings.HasPrefix(wrong, "REDIS_URL_FILE: ") {
			t.Errorf("%s file: got %q, want an error of REDIS_URL_FILE", name, wrong)
		}
	}
}

func TestConfigLeavesServiceLinksAlone(t *testing.T) {
	cfg, wrong := load(with(good,
		"ROOST_SERVICE_HOST=10.0.0.1", "ROOST_SERVICE_PORT=4000", "ROOST_SERVICE_PORT_HTTP=4000", "ROOST_PORT=tcp://10.0.0.1:4000",
		"ROOST_PORT_4000_TCP=tcp://10.0.0.1:4000", "ROOST_PORT_4000_TCP_PROTO=tcp", "ROOST_PORT_4000_TCP_PORT=4000",
		"ROOST_PORT_4000_TCP_ADDR=10.0.0.1", "ROOST_ADMIN_SERVICE_HOST=10.0.0.2", "ROOST_ADMIN_PORT=tcp://10.0.0.2:4001")...)
	if wrong != "" {
		t.Fatalf("got errors %s, want none", wrong)
	}
	if cfg.AdminPort != 4001 {
		t.Errorf("admin port: got %s, want the default 4001", cfg.AdminPort)
	}
}

func TestConfigEmptyIsNotSet(t *testing.T) {
	if cfg, wrong := load(with(good, "PORT=", "ROOST_IDLE_TIMEOUT=", "ROOST_POD_ID=")...); wrong != "" || cfg.Port != 4000 {
		t.Errorf("got port %s and errors %q, want 4000 and none", cfg.Port, wrong)
	}
}

func TestConfigWithoutWebhook(t *testing.T) {
	rules := write(t, "topics.yaml", "topics:\n  - {topic: \"news:*\", join: allow, push: deny}\n")
	cfg, wrong := load("REDIS_URL=redis://localhost:1", "ROOST_TOPICS_FILE="+rules)
	if wrong != "" {
		t.Fatalf("got errors %s, want none", wrong)
	}
	if cfg.rules.Match("news:today") == nil || cfg.rules.Match("rooms:lobby") != nil {
		t.Errorf("got rules %+v, want those of the file", cfg.rules)
	}
}

func TestDevListensOnLoopbackOnly(t *testing.T) {
	cfg, err := loadConfig(nil, true, false)
	if err != nil || cfg.host != "127.0.0.1" || cfg.AdminHost != "127.0.0.1" {
		t.Errorf("got hosts %q and %q, error %v, want 127.0.0.1 and none", cfg.host, cfg.AdminHost, err)
	}
	if _, err := loadConfig([]string{"ROOST_ADMIN_HOST=0.0.0.0"}, true, false); err == nil {
		t.Error("ROOST_ADMIN_HOST=0.0.0.0: got no error, want one")
	}
	if _, err := loadConfig([]string{"ROOST_ADMIN_HOST=::1"}, true, false); err != nil {
		t.Errorf("ROOST_ADMIN_HOST=::1: got %v, want no error", err)
	}
}

func TestConfigIsPrintedWithoutSecrets(t *testing.T) {
	environ := with(good, "ROOST_WEBHOOK_URL=http://u:hunter2@localhost:1", "ROOST_MAX_MESSAGE_SIZE=128KiB", "PORT=4321")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"config"}, environ, &stdout, &stderr); code != exitOK {
		t.Fatalf("got exit code %d and %s, want 0", code, &stderr)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(stdout.String()) {
		name, value, _ := strings.Cut(line, " ")
		lines[name] = strings.TrimSpace(value)
	}
	for name, want := range map[string]string{
		"PORT": "4321", "REDIS_URL": "(set)", "ROOST_WEBHOOK_SECRET": "(set)", "ROOST_ADMIN_HOST": "(all addresses)",
		"ROOST_TOPICS_FILE": "(none)", "ROOST_MAX_MESSAGE_SIZE": "128KiB", "ROOST_WEBHOOK_URL": "http://u:xxxxx@localhost:1",
	} {
		if got := lines[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if len(lines) != len(fields()) {
		t.Errorf("got %d settings, want all %d", len(lines), len(fields()))
	}
	for _, hidden := range []string{"hunter2", secret} {
		if strings.Contains(stdout.String()+stderr.String(), hidden) {
			t.Errorf("got a secret in\n%s%s", &stdout, &stderr)
		}
	}
}

// Whatever is wrong with a secret, the error does not repeat it.
func TestErrorsHoldNoSecret(t *testing.T) {
	for _, environ := range []string{
		"REDIS_URL=redis://:hunter2:x@localhost:y/9/9", "REDIS_URL=hunter2", "REDIS_URL=redis://hunter2%zz@localhost",
		"REDIS_URL=redis://localhost/hunter2", "ROOST_WEBHOOK_SECRET=hunter2", "ROOST_WEBHOOK_SECRET=" + secret + " hunter2",
		"ROOST_WEBHOOK_URL=http://u:hunter2%zz@localhost", "ROOST_WEBHOOK_URL=hunter2", "ROOST_WEBHOOK_URL=ftp://u:hunter2@localhost",
		"ROOST_JWT_KEY=hunter2", "ROOST_API_TOKEN=hunter2", "ROOST_WEBHOOK_SECERT=hunter2",
	} {
		_, wrong := load(environ)
		if name, _, _ := strings.Cut(environ, "="); !strings.Contains(wrong, name+": ") {
			t.Errorf("%s: got %q, want an error that names it", environ, wrong)
		}
		if strings.Contains(wrong, "hunter2") {
			t.Errorf("%s: got an error with the secret in it: %s", environ, wrong)
		}
	}
}

func TestPodIDFromHostName(t *testing.T) {
	host := func(name string, err error) func() (string, error) {
		return func() (string, error) { return name, err }
	}
	for name, c := range map[string]struct {
		hostname func() (string, error)
		prefix   string
	}{
		"dots":      {host("web-0.web.prod", nil), "web-0-web-prod-"},
		"unusable":  {host("...", nil), "pod-"},
		"unknown":   {host("", errors.New("no name")), "pod-"},
		"very long": {host(strings.Repeat("a", 200), nil), strings.Repeat("a", maxHostInPod) + "-"},
	} {
		first, second := newPodID(c.hostname), newPodID(c.hostname)
		if !strings.HasPrefix(string(first), c.prefix) || !isPodID(string(first)) {
			t.Errorf("%s: got %q, want a pod id with prefix %q", name, first, c.prefix)
		}
		if first == second {
			t.Errorf("%s: got %q twice, want another id for each start", name, first)
		}
	}
}

// Every limit that is set reaches the gateway.
func TestConfigLimits(t *testing.T) {
	cfg, wrong := load(with(good, "ROOST_MAX_CONNECTIONS=1", "ROOST_MAX_CONNECTIONS_PER_IP=2", "ROOST_MAX_CONNECTIONS_PER_ID=3",
		"ROOST_CONNECT_RATE=4/s", "ROOST_CONNECT_RATE_PER_IP=5/m", "ROOST_FAILED_CONNECT_RATE_PER_IP=6/h", "ROOST_REFUSAL_MEMORY=7s",
		"ROOST_MESSAGE_RATE=8/s", "ROOST_JOIN_RATE=9/s", "ROOST_MAX_TOPIC_SIZE=10", "ROOST_MAX_EVENT_SIZE=11", "ROOST_MAX_PAYLOAD_SIZE=12")...)
	if wrong != "" {
		t.Fatalf("got errors %s, want none", wrong)
	}
	want := gateway.Limits{
		Connections: 1, ConnectionsPerIP: 2, ConnectionsPerID: 3,
		Connects: gateway.Rate{N: 4, Per: time.Second}, ConnectsPerIP: gateway.Rate{N: 5, Per: time.Minute},
		FailuresPerIP: gateway.Rate{N: 6, Per: time.Hour}, RefusalMemory: 7 * time.Second,
		Messages: gateway.Rate{N: 8, Per: time.Second}, Joins: gateway.Rate{N: 9, Per: time.Second},
		MaxTopic: 10, MaxEvent: 11, MaxPayload: 12,
	}
	if got := cfg.limits(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestConfigBackendsOfRules(t *testing.T) {
	rules := func(backend string) string {
		return "ROOST_TOPICS_FILE=" + write(t, "topics.yaml", "topics:\n  - {topic: \"a:*\", webhook: {url: \"http://u:hunter2@a:1\", "+backend+"}}\n")
	}
	for backend, want := range map[string]string{
		"secret: " + secret:                "",
		"secret: hunter2":                  `the rule for "a:*": secret 1 is not whsec_ followed by base64`,
		"secret_file: /nowhere/secret.txt": `the rule for "a:*": secret_file: open /nowhere/secret.txt`,
	} {
		_, wrong := load("REDIS_URL=redis://localhost:1", rules(backend))
		if (wrong == "") != (want == "") || !strings.Contains(wrong, want) || strings.Contains(wrong, "hunter2") {
			t.Errorf("%s: got %q, want %q in it and no secret", backend, wrong, want)
		}
	}
	if _, wrong := load("REDIS_URL=redis://localhost:1", rules("timeout: 1s"), "ROOST_WEBHOOK_EVENTS=connect,join,push"); !strings.Contains(wrong, "ROOST_WEBHOOK_URL") {
		t.Errorf("connect without a backend for all: got %q, want ROOST_WEBHOOK_URL in it", wrong)
	}
}
