package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthTimeout bounds gateway health. An image's health check gives it a little more.
const healthTimeout = 3 * time.Second

// health asks the pod that runs with the same settings, on this machine, whether it is alive or ready.
func health(ctx context.Context, args, environ []string, stdout io.Writer) error {
	path := "/livez"
	switch {
	case len(args) == 0, len(args) == 1 && args[0] == "live":
	case len(args) == 1 && args[0] == "ready":
		path = "/readyz"
	default:
		return usageError("gateway health takes live (the default) or ready")
	}
	cfg, _ := loadConfig(environ, false, false) // what else is wrong, the pod itself has said
	if cfg.AdminPort == 0 {
		return errors.New("ROOST_ADMIN_PORT does not say which port to ask")
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(cfg.adminReach(), cfg.AdminPort.String())+path, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}
	answer := strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return errors.New(answer)
	}
	_, err = fmt.Fprintln(stdout, answer)
	return err
}

// adminReach is where this machine reaches the admin port.
func (c *config) adminReach() string {
	if ip := net.ParseIP(c.AdminHost); c.AdminHost == "" || ip != nil && ip.IsUnspecified() {
		return loopback
	}
	return c.AdminHost
}
