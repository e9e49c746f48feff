package webhook

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"roost/auth"
)

// mainName is the name of the backend at Config.URL. Those of rules have the rule's pattern.
const mainName = "default"

// backend is where calls go, as the settings or a rule say.
type backend struct {
	rule    *auth.Rule // nil for that of all topics without one of their own
	name    string
	address *url.URL
	signer  signer
	timeout time.Duration
}

// backends reads Config.URL and what the rules say. The error joins all that is wrong, and repeats neither URL nor secret.
func (c *Config) backends() ([]backend, error) {
	var all []backend
	var errs []error
	for i := range c.Rules {
		rule := &c.Rules[i]
		if rule.Webhook == nil {
			continue
		}
		b, err := backendOf(rule)
		if err != nil {
			err = fmt.Errorf("the rule for %q: %w", rule.Pattern, err)
		}
		all, errs = append(all, b), append(errs, err)
	}
	if c.URL == "" && len(all) > 0 {
		return all, errors.Join(errs...)
	}
	address, badURL := parseURL(c.URL)
	secrets, badSecrets := newSigner(c.Secrets)
	all = append(all, backend{name: mainName, address: address, signer: secrets})
	return all, errors.Join(append(errs, badURL, badSecrets)...)
}

// backendOf reads the backend of a rule.
func backendOf(rule *auth.Rule) (b backend, err error) {
	w := rule.Webhook
	b = backend{rule: rule, name: rule.Pattern, timeout: w.Timeout}
	if b.name == mainName {
		b.name += " (rule)"
	}
	if b.address, err = parseURL(w.URL); err != nil {
		return b, err
	}
	secret := w.Secret
	if w.SecretFile != "" {
		data, err := os.ReadFile(w.SecretFile)
		if err != nil {
			return b, fmt.Errorf("secret_file: %w", err)
		}
		if secret = strings.TrimSpace(string(data)); secret == "" {
			return b, fmt.Errorf("secret_file: %s is empty", w.SecretFile)
		}
	}
	b.signer, err = newSigner([]string{secret})
	return b, err
}

// addEndpoints gives every backend places, a breaker and connections of its own.
func (c *Client) addEndpoints(backends []backend, files *tlsFiles) error {
	c.byRule = map[*auth.Rule]*endpoint{}
	for _, b := range backends {
		config := c.config
		if b.timeout > 0 {
			config.Timeout = b.timeout
		}
		if config.Transport == nil {
			config.Transport = config.newTransport(files.client(b.address.Hostname()))
		}
		p, err := newEndpoint(b.name, b.address, b.signer, &config, c.metrics)
		if err != nil {
			return err
		}
		if b.rule == nil {
			c.main = p
		} else {
			c.byRule[b.rule] = p
		}
	}
	if c.main == nil && (c.on[connect] || c.on[disconnect]) {
		return errors.New("URL: connect and disconnect need one for all, not only for the topics of rules")
	}
	return nil
}

// endpoint returns the backend of topic, or nil if it has none.
func (c *Client) endpoint(topic string) *endpoint {
	if len(c.byRule) > 0 {
		if p := c.byRule[c.config.Rules.Match(topic)]; p != nil {
			return p
		}
	}
	return c.main
}

// backendOf returns the backend that a notice is for, or nil if there is none any more.
func (c *Client) backendOf(n *notice) *endpoint {
	if n.event != leave || len(c.byRule) == 0 {
		return c.main
	}
	var topic string
	_ = fields([]byte(n.data+"}"), func(name string, value []byte) (err error) {
		if name == "topic" {
			topic, err = decodeText(value)
		}
		return err
	})
	return c.endpoint(topic)
}

// errNoBackend means that topic rules changed since a notice was written.
var errNoBackend = errors.New("webhook: no backend for this topic")

// closeIdle closes connections without a call.
func (c *Client) closeIdle() {
	if c.main != nil {
		c.main.closeIdle()
	}
	for _, p := range c.byRule {
		p.closeIdle()
	}
}
