package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"roost/auth/webhook"
	"roost/hub/redisbroker"
)

// doctorTime bounds each question of the doctor.
const doctorTime = 10 * time.Second

// doctor looks at what a pod with these settings would lean on, and says what to change.
type doctor struct {
	cfg    *config
	out    io.Writer
	failed bool
	inside bool // in a container, where localhost is not the machine
}

// errUnwell makes gateway doctor exit with an error once it has said all it found.
var errUnwell = errors.New("something needs to be changed, see above")

// examine runs gateway doctor. pages are URLs of pages that clients are loaded from.
func examine(ctx context.Context, environ, pages []string, stdout io.Writer) error {
	cfg, wrong := loadConfig(environ, false, true)
	d := &doctor{cfg: cfg, out: stdout, inside: inContainer()}
	if wrong != nil {
		for line := range strings.SplitSeq(wrong.Error(), "\n") {
			d.fail("settings", line, "")
		}
	} else {
		d.ok("settings", "all are understood; gateway config prints them")
	}
	if cfg.checkRedisURL() == nil {
		d.redis(ctx)
	}
	d.webhook(ctx)
	d.origins(pages)
	d.files()
	if d.failed {
		return errUnwell
	}
	return nil
}

func (d *doctor) ok(what, found string) { fmt.Fprintf(d.out, "ok    %-9s %s\n", what, found) }

// warn says what works, but maybe not as it should.
func (d *doctor) warn(what, found, change string) { d.tell("warn", what, found, change) }

func (d *doctor) fail(what, found, change string) {
	d.failed = true
	d.tell("FAIL", what, found, change)
}

func (d *doctor) tell(verdict, what, found, change string) {
	fmt.Fprintf(d.out, "%s  %-9s %s\n", verdict, what, found)
	if change != "" {
		fmt.Fprintf(d.out, "                → %s\n", change)
	}
}

// redis checks what the pod would find at REDIS_URL.
func (d *doctor) redis(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	found, err := redisbroker.Inspect(ctx, redisbroker.Config{
		URL: d.cfg.RedisURL, PodID: string(newPodID(os.Hostname)), Prefix: d.cfg.RedisPrefix,
		ShardedPubSub: bool(d.cfg.RedisSharded), Logger: discard,
	})
	if found.Version != "" {
		d.ok("redis", fmt.Sprintf("version %s, %s, answers in %v, pods with a lease: %d", found.Version, found.Mode, found.Answer.Round(10*time.Microsecond), len(found.Pods)))
	}
	if err != nil {
		d.fail("redis", err.Error(), d.adviseRedis(err))
		return
	}
	d.ok("pub/sub", fmt.Sprintf("a message comes back in %v", found.RoundTrip.Round(10*time.Microsecond)))
	if found.Mode == "cluster" && !strings.Contains(d.cfg.RedisURL, ",") {
		d.fail("redis", "the server is part of a Redis Cluster, but REDIS_URL names one server", "name several of its servers in REDIS_URL, separated by commas")
	}
	if major, minor := release(found.Version); major < 6 || major == 6 && minor < 2 {
		d.warn("redis", "version "+found.Version+" is older than what Roost is tested with", "use Redis 6.2 or newer, or Valkey")
	}
	if strings.HasPrefix(found.Eviction, "allkeys") {
		d.warn("redis", "maxmemory-policy is "+found.Eviction+": when memory is short, Redis may throw away membership sets", "set maxmemory-policy to noeviction or volatile-lru")
	}
	if skew := found.Clock.Abs(); skew > time.Second {
		d.warn("clock", fmt.Sprintf("this machine's clock is %v off Redis's", skew.Round(10*time.Millisecond)), "run NTP on both: leases follow Redis's clock, but signatures and tokens this machine's")
	} else {
		d.ok("clock", "within a second of Redis's")
	}
}

func (d *doctor) adviseRedis(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "NOAUTH"), strings.Contains(text, "WRONGPASS"):
		return "put the password into REDIS_URL: redis://:password@host:6379, or user:password@"
	case strings.Contains(text, "NOPERM"):
		return "the Redis user needs the keys and channels of ROOST_REDIS_PREFIX (docs/operations.md lists the commands); for channels the rule is &*"
	case strings.Contains(text, "publish and subscribe"):
		return "commands work and messages do not come: a proxy in front of Redis that does not know SUBSCRIBE, or an ACL without channels; connect to Redis itself"
	case d.inside && strings.Contains(d.cfg.RedisURL, "localhost"), d.inside && strings.Contains(d.cfg.RedisURL, "127.0.0.1"):
		return trap
	default:
		return "is Redis running, and reachable from this machine? redis-cli -u \"$REDIS_URL\" ping must say PONG"
	}
}

// trap is what most people fall into once.
const trap = "is it running? And inside a container localhost is the container itself: name the other container's service, or host.docker.internal for the machine"

// webhook checks what the pod would find at ROOST_WEBHOOK_URL.
func (d *doctor) webhook(ctx context.Context) {
	switch {
	case d.cfg.WebhookURL.URL != nil:
	case d.cfg.rules.HaveBackends():
		d.ok("webhook", "none for all topics; the backends of rules are not tried")
		return
	case d.cfg.rules.AskBackend():
		return // the settings say so
	default:
		d.ok("webhook", "none is set, and the topic rules need none")
		return
	}
	client, err := webhook.New(d.cfg.webhookConfig(discard, nil))
	if err != nil {
		d.fail("webhook", err.Error(), "")
		return
	}
	pong, err := client.Ping(ctx)
	where := d.cfg.WebhookURL.String()
	switch {
	case err != nil:
		d.fail("webhook", where+": "+err.Error(), d.adviseWebhook(err))
	case !pong.Accepted():
		d.fail("webhook", fmt.Sprintf("%s answers %d to a signed call", where, pong.Status), "the backend must check signatures with the same ROOST_WEBHOOK_SECRET as here, over the raw body, and its clock must be right")
	case pong.Status >= 500:
		d.fail("webhook", fmt.Sprintf("%s answers %d", where, pong.Status), "look into the backend's log: every call would be taken for a failure")
	case pong.Status >= 300 && pong.Status < 400:
		d.fail("webhook", fmt.Sprintf("%s answers %d, and redirects are not followed", where, pong.Status), "set ROOST_WEBHOOK_URL to where the redirect leads")
	case pong.Unsigned == 0:
		d.warn("webhook", where+" answers in "+pong.Took.Round(time.Millisecond).String()+"; calls are not signed", "set ROOST_WEBHOOK_SECRET, here and in the backend")
	case !pong.Verifies():
		d.warn("webhook", fmt.Sprintf("%s takes calls with a wrong signature, too (%d)", where, pong.Unsigned), "let the backend verify signatures and answer 401: anybody who can reach it could speak as the gateway")
	default:
		d.ok("webhook", fmt.Sprintf("%s answers in %v, takes our signature, and no other", where, pong.Took.Round(time.Millisecond)))
	}
}

func (d *doctor) adviseWebhook(err error) string {
	host := d.cfg.WebhookURL.Hostname()
	ip := net.ParseIP(host)
	var dns *net.DNSError
	switch {
	case d.inside && (host == "localhost" || ip != nil && ip.IsLoopback()):
		return trap
	case errors.As(err, &dns):
		return "the name " + host + " is not known here: check ROOST_WEBHOOK_URL, and in Kubernetes the namespace (service.namespace.svc)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start the backend, and let it listen on more than its own loopback if it is elsewhere"
	default:
		return "check ROOST_WEBHOOK_URL and what is between here and there: a firewall, a NetworkPolicy, a certificate"
	}
}

// origins checks whether browsers with these pages may connect.
func (d *doctor) origins(pages []string) {
	if len(pages) == 0 {
		d.ok("origins", "ROOST_CHECK_ORIGIN is "+d.cfg.CheckOrigin+"; gateway doctor https://your.page tells whether that page may connect")
	}
	for _, page := range pages {
		u, err := url.Parse(page)
		switch {
		case err != nil || u.Host == "" || u.Scheme == "":
			d.fail("origins", fmt.Sprintf("%q is not the URL of a page", page), "write https://app.example.com")
		case d.cfg.origins.Allows(u.Scheme+"://"+u.Host, u.Host, u.Scheme == "https"):
			d.ok("origins", page+" may connect"+sameHost(d.cfg.CheckOrigin))
		default:
			d.fail("origins", page+" may not connect: ROOST_CHECK_ORIGIN is "+d.cfg.CheckOrigin, "add //"+u.Host+" to ROOST_CHECK_ORIGIN")
		}
	}
}

// sameHost is what has to be added where only the request's own host may connect.
func sameHost(check string) string {
	if check == "conn" {
		return ", if its sockets go to the same host and port (ROOST_CHECK_ORIGIN is conn); behind a proxy that ends TLS, list it: //host"
	}
	return ""
}

// files checks how many connections the process may have.
func (d *doctor) files() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		d.warn("files", "the limit of open files is not known: "+err.Error(), "")
		return
	}
	if most := int(d.cfg.MaxConnections); most > 0 && limit.Max < uint64(most)+spareFiles {
		d.fail("files", fmt.Sprintf("%d open files are allowed, and ROOST_MAX_CONNECTIONS is %d: every client needs one, and the pod some %d more", limit.Max, most, spareFiles),
			"lower ROOST_MAX_CONNECTIONS, or raise the hard limit of open files: ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile of Docker")
		return
	}
	if limit.Max < fewFiles {
		d.warn("files", fmt.Sprintf("%d open files are allowed, and every client needs one", limit.Max), "raise the hard limit of open files: ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile of Docker")
		return
	}
	d.ok("files", fmt.Sprintf("%d open files are allowed", limit.Max))
}

// spareFiles are those that a pod has open beside its clients'.
const spareFiles = 200

// fewFiles is the number of open files below which a pod is a small one.
const fewFiles = 10_000

// discard is for parts whose log nobody wants to read.
var discard = slog.New(slog.DiscardHandler)

// inContainer tells whether this looks like the inside of a container.
func inContainer() bool {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return true
	}
	return slices.ContainsFunc([]string{"/.dockerenv", "/run/.containerenv"}, func(name string) bool {
		_, err := os.Stat(name)
		return err == nil
	})
}

// release reads the first two numbers of a version.
func release(version string) (major, minor int) {
	_, _ = fmt.Sscanf(version, "%d.%d", &major, &minor)
	return major, minor
}
