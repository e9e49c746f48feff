package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

const help = `Roost serves Phoenix Channels to the clients that exist for them, and asks your backend by webhook.

  gateway           serve; settings come from the environment
  gateway dev       serve on loopback with an embedded Redis, a demo backend and a demo page: nothing to install
  gateway config    print the settings in force, secrets hidden, or what is wrong with them
  gateway check     URL TOPIC [JSON]: join a topic as a client does; with REDIS_URL, also get a message that is published to it
  gateway health    live | ready: ask the pod that runs here; the exit code is 0 if it is
  gateway version   print the version
  gateway help      print this

A first try:  gateway dev
In earnest:   REDIS_URL=redis://localhost:6379 ROOST_WEBHOOK_URL=http://localhost:3000/roost gateway

SIGTERM and interrupt drain: clients are told to reconnect elsewhere. A second one hurries, a third ends the program at once.
`

// run is the program. It returns when its command is done or ctx ends, and then the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command = args[0]
	}
	if len(args) > 1 && command != "check" && command != "health" {
		fmt.Fprintf(stderr, "gateway %s takes no arguments, got %q; settings come from the environment\n", command, args[1:])
		return exitUsage
	}
	var err error
	switch command {
	case "check":
		err = checkTopic(ctx, args[1:], environ, stdout)
	case "health":
		err = health(ctx, args[1:], environ, stdout)
	case "serve":
		err = serve(ctx, environ, stderr)
	case "dev":
		err = dev(ctx, environ, stderr)
	case "config":
		err = printConfig(environ, stdout, stderr)
	case "version", "--version":
		err = printVersion(stdout)
	case "help", "--help", "-h":
		_, err = io.WriteString(stdout, help)
	default:
		fmt.Fprintf(stderr, "gateway: no command %q; there are serve (the default), dev, config, check, health, version and help\n", command)
		return exitUsage
	}
	if err != nil {
		fmt.Fprintln(stderr, "gateway: "+err.Error())
		if _, usage := errors.AsType[usageError](err); usage {
			return exitUsage
		}
		return exitError
	}
	return exitOK
}

// usageError says how a command is to be called.
type usageError string

func (e usageError) Error() string { return string(e) }

// serve runs one pod.
func serve(ctx context.Context, environ []string, stderr io.Writer) error {
	cfg, err := loadConfig(environ, false, isTerminal(stderr))
	if err != nil {
		return wrongSettings(err)
	}
	p, err := newPod(cfg, newLogger(stderr, cfg))
	if err != nil {
		return err
	}
	return p.run(ctx, nil)
}

// printConfig prints the settings that gateway would serve with.
func printConfig(environ []string, stdout, stderr io.Writer) error {
	cfg, wrong := loadConfig(environ, false, isTerminal(stderr))
	if err := cfg.show(stdout); err != nil {
		return err
	}
	if wrong != nil {
		return wrongSettings(wrong)
	}
	return nil
}

// wrongSettings lists all errors below one line that says what they are.
func wrongSettings(err error) error {
	return errors.New("wrong settings:\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  "))
}
