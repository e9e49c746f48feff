package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"roost/web"
)

// demo is what the banner and the page tell people.
type demo struct {
	redisCLI string // the command that reaches the Redis in use
	prefix   string
	socket   string // path
	backend  string // who answers
}

// dev runs a pod on loopback, and everything that it needs and is not set: a Redis, a backend, and a page to try it.
func dev(ctx context.Context, environ []string, stderr io.Writer) (err error) {
	cfg, err := loadConfig(environ, true, isTerminal(stderr))
	if err != nil {
		return wrongSettings(err)
	}
	log := newLogger(stderr, cfg)
	d := &demo{redisCLI: `redis-cli -u "$REDIS_URL"`, prefix: cfg.RedisPrefix, socket: cfg.SocketPath, backend: cfg.WebhookURL.String()}
	if cfg.RedisURL == "" {
		redis, err := startRedis()
		if err != nil {
			return err
		}
		defer redis.Close()
		cfg.RedisURL = "redis://" + redis.Addr()
		d.redisCLI = "redis-cli -p " + redis.Port()
	}
	if cfg.WebhookURL.URL == nil {
		if cfg.WebhookSecret == "" {
			cfg.WebhookSecret = newSecret()
		}
		chat, err := startChat(ctx, cfg.WebhookSecret, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, chat.close()) }()
		cfg.WebhookURL.URL = chat.url
		d.backend = "the demo chat in this process, by webhook at " + chat.url.String()
	}
	p, err := newPod(cfg, log)
	if err != nil {
		return err
	}
	return p.run(ctx, &front{
		handler: func(sockets http.Handler, admin net.Addr) http.Handler {
			return web.Handler(d.page(admin), sockets)
		},
		ready: func(clients, admin net.Addr) { fmt.Fprint(stderr, d.banner(clients, admin)) },
	})
}

// newSecret makes a webhook secret that only this process knows.
func newSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// hello is a chat message as a backend publishes it.
const hello = `{"event":"new:msg","payload":{"user":"redis","body":"hi"}}`

// publish is the command that sends body to everyone in the lobby.
func (d *demo) publish(body string) string {
	return fmt.Sprintf("%s PUBLISH %stopic:%s '%s'", d.redisCLI, d.prefix, lobby, body)
}

// members is the command that shows who is there.
func (d *demo) members() string {
	return fmt.Sprintf(`%s SMEMBERS '%s{%s}:members'`, d.redisCLI, d.prefix, lobby)
}

// page is what the demo page shows.
func (d *demo) page(admin net.Addr) web.Page {
	return web.Page{
		SocketPath: d.socket, Topic: lobby, Backend: d.backend, Admin: "http://" + admin.String(),
		Publish: d.publish(hello),
		Rejoin:  d.publish(`{"event":"phx_error"}`),
		Broken:  d.publish(`not json`),
		Members: d.members(),
	}
}

// banner says loudly that this is not for production, and what to do now.
func (d *demo) banner(clients, admin net.Addr) string {
	rule := strings.Repeat("=", 78)
	return fmt.Sprintf(`
%s
  ROOST DEV MODE: on loopback only, everybody is let in, nothing is kept.
  For anything real, run "gateway" (see "gateway help").

  page      http://%s/    open it in two tabs
  sockets   ws://%s%s/websocket
  admin     http://%s/readyz  /metrics
  backend   %s

  say something from Redis:
  %s
%s

`, rule, clients, clients, d.socket, admin, d.backend, d.publish(hello), rule)
}
