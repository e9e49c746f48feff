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
  gateway listen    URL TOPIC [JSON]: join a topic as a client does, and print what comes
  gateway health    live | ready: ask the pod that runs here; the exit code is 0 if it is
  gateway doctor [PAGE…]          look at Redis, the webhook and the limits as a pod would, and say what to change;
                                  PAGE is the URL of a page whose browsers should be able to connect
  gateway publish TOPIC EVENT [JSON]    send a broadcast, as a backend does, and tell how many pods listen
  gateway token [-for 1h] SUBJECT [TOPIC…]   make a token for trying out, signed with ROOST_JWT_KEY
  gateway completion bash|zsh|fish      print the shell's completion: source <(gateway completion bash)
  gateway version   print the version
  gateway help      print this

A first try:  gateway dev
In earnest:   REDIS_URL=redis://localhost:6379 ROOST_WEBHOOK_URL=http://localhost:3000/roost gateway

SIGTERM and interrupt drain: clients are told to reconnect elsewhere. A second one hurries, a third ends the program at once.
`

// command is one of the words behind gateway.
type command struct {
	least, most int // arguments
	takes       string
	run         func(context.Context, invocation) error
}

// invocation is what a command is given.
type invocation struct {
	args, environ  []string
	stdout, stderr io.Writer
}

// many is a number of arguments that nobody types.
const many = 1000

// commands are all there are. It is a function because one of them lists them.
func commands() map[string]command {
	return map[string]command{
		"serve":  {0, 0, "no arguments", func(ctx context.Context, c invocation) error { return serve(ctx, c.environ, c.stderr) }},
		"dev":    {0, 0, "no arguments", func(ctx context.Context, c invocation) error { return dev(ctx, c.environ, c.stderr) }},
		"config": {0, 0, "no arguments", func(_ context.Context, c invocation) error { return printConfig(c.environ, c.stdout, c.stderr) }},
		"check":  {0, many, "URL TOPIC [JSON]", func(ctx context.Context, c invocation) error { return checkTopic(ctx, c.args, c.environ, c.stdout) }},
		"listen": {0, many, "URL TOPIC [JSON]", func(ctx context.Context, c invocation) error { return listenTo(ctx, c.args, c.stdout) }},
		"health": {0, many, "live or ready", func(ctx context.Context, c invocation) error { return health(ctx, c.args, c.environ, c.stdout) }},
		"doctor": {0, many, "URLs of pages", func(ctx context.Context, c invocation) error { return examine(ctx, c.environ, c.args, c.stdout) }},
		"publish": {2, 3, "TOPIC EVENT [JSON]", func(ctx context.Context, c invocation) error {
			return publish(ctx, c.environ, c.args, c.stdout)
		}},
		"token":      {0, many, "SUBJECT and topics", func(_ context.Context, c invocation) error { return printToken(c.environ, c.args, c.stdout) }},
		"completion": {1, 1, "bash, zsh or fish", func(_ context.Context, c invocation) error { return printCompletion(c.args[0], c.stdout) }},
		"version":    {0, 0, "no arguments", func(_ context.Context, c invocation) error { return printVersion(c.stdout) }},
		"--version":  {0, 0, "no arguments", func(_ context.Context, c invocation) error { return printVersion(c.stdout) }},
		"help":       {0, 0, "no arguments", printHelp},
		"--help":     {0, 0, "no arguments", printHelp},
		"-h":         {0, 0, "no arguments", printHelp},
	}
}

func printHelp(_ context.Context, c invocation) error {
	_, err := io.WriteString(c.stdout, help)
	return err
}

// run is the program. It returns when its command is done or ctx ends, and then the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command = args[0]
	}
	c, known := commands()[command]
	if !known {
		fmt.Fprintf(stderr, "gateway: no command %q; there are serve (the default), dev, config, check, listen, health, doctor, publish, token, completion, version and help\n", command)
		return exitUsage
	}
	if len(args) > 0 {
		args = args[1:]
	}
	if len(args) < c.least || len(args) > c.most {
		fmt.Fprintf(stderr, "gateway %s takes %s, got %q; settings come from the environment\n", command, c.takes, args)
		return exitUsage
	}
	err := c.run(ctx, invocation{args, environ, stdout, stderr})
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
