package main

import (
	"flag"
	"fmt"
	"io"
	"time"

	"roost/auth/token"
)

// printToken makes a token that the pods with these settings accept, signed with the secret of ROOST_JWT_KEY.
func printToken(environ, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	lifetime := flags.Duration("for", time.Hour, "")
	if flags.Parse(args) != nil || flags.NArg() == 0 || *lifetime < 0 {
		return usageError("usage: gateway token [-for 1h] SUBJECT [TOPIC…]; 0s is for ever, and a TOPIC may end in * and hold {sub}")
	}
	cfg, err := loadConfig(environ, true, false)
	if err != nil {
		return err
	}
	if cfg.JWTKey == "" {
		return fmt.Errorf("ROOST_JWT_KEY is not set: it is the secret that tokens are signed with, such as: openssl rand -hex 32")
	}
	text, err := token.Sign(cfg.tokenConfig(nil, nil), flags.Arg(0), flags.Args()[1:], *lifetime)
	if err != nil {
		return fmt.Errorf("ROOST_JWT_KEY: %w", err)
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}
