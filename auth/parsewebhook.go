package auth

import (
	"net/url"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// span reads a time span longer than none.
func (p *ruleParser) span(n ast.Node, at int, key string) time.Duration {
	text, ok := p.text(n, at, key, "a duration such as 30s or 5m")
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		p.fail(at, "%s: %q is not a duration such as 30s or 5m", key, text)
		return 0
	}
	return d
}

// webhook reads a backend of a rule. What it reports repeats neither URL nor secret.
func (p *ruleParser) webhook(n ast.Node, at int) *Webhook {
	var w Webhook
	ok := p.mapping(n, "a backend: write webhook: {url: https://…}", func(key string, at int, value ast.Node) {
		switch key {
		case "url":
			w.URL, _ = p.text(value, at, key, "the backend's address")
			if u, err := url.Parse(w.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
				p.fail(at, "url is not an http:// or https:// URL with a host")
			}
		case "secret":
			w.Secret, _ = p.text(value, at, key, "whsec_ and base64")
		case "secret_file":
			w.SecretFile, _ = p.text(value, at, key, "the name of a file")
		case "timeout":
			w.Timeout = p.span(value, at, key)
		default:
			p.fail(at, "unknown key %q: the keys of a webhook are url, secret, secret_file and timeout", key)
		}
	})
	switch {
	case !ok:
	case w.URL == "":
		p.fail(at, "this webhook has no url")
	case w.Secret != "" && w.SecretFile != "":
		p.fail(at, "secret and secret_file are both there: delete one")
	}
	return &w
}
