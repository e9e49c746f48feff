package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// port is a TCP port. 0 lets the system choose one.
type port uint16

func (p *port) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a port (0 to 65535)", text)
	}
	*p = port(n)
	return nil
}

func (p port) String() string { return strconv.Itoa(int(p)) }

// duration is a time span longer than none, written as Go does: 30s, 1m30s.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 30s or 2m", text)
	}
	if v <= 0 {
		return fmt.Errorf("%q must be more than 0s", text)
	}
	*d = duration(v)
	return nil
}

func (d duration) String() string {
	text := time.Duration(d).String()
	if minutes, whole := strings.CutSuffix(text, "m0s"); whole {
		text = minutes + "m"
	}
	if hours, whole := strings.CutSuffix(text, "h0m"); whole {
		text = hours + "h"
	}
	return text
}

// wait is a time span that may be none: 0s.
type wait time.Duration

func (w *wait) UnmarshalText(text []byte) error {
	if v, err := time.ParseDuration(string(text)); err == nil && v == 0 {
		*w = 0
		return nil
	}
	return (*duration)(w).UnmarshalText(text)
}

func (w wait) String() string { return duration(w).String() }

// spread is a duration, or off, which is held as a negative one.
type spread time.Duration

func (s *spread) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*s = -1
		return nil
	}
	return (*duration)(s).UnmarshalText(text)
}

func (s spread) String() string {
	switch {
	case s < 0:
		return "off"
	case s == 0:
		return "" // not set, and without a default of its own
	}
	return duration(s).String()
}

// size is a number of bytes above 0: 65536, 64KiB, 1MiB.
type size int

// units are tried in this order, so that B comes after those that end in it.
var units = []struct {
	suffix string
	bytes  int
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

// maxSize keeps sizes within an int32, so that adding a few of them never overflows.
const maxSize = 1<<31 - 1

func (s *size) UnmarshalText(text []byte) error {
	for _, unit := range units {
		digits, found := strings.CutSuffix(string(text), unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 31)
		if err != nil {
			break
		}
		if n == 0 || n > maxSize/uint64(unit.bytes) {
			return fmt.Errorf("%q is not between 1 byte and 2 GiB", text)
		}
		*s = size(int(n) * unit.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size such as 64KiB, 1MiB or 65536", text)
}

func (s size) String() string {
	if s == 0 {
		return ""
	}
	for _, unit := range slices.Backward(units[:3]) {
		if int(s)%unit.bytes == 0 {
			return strconv.Itoa(int(s)/unit.bytes) + unit.suffix
		}
	}
	return strconv.Itoa(int(s))
}

// count is a number above 0.
type count int

func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a number above 0", text)
	}
	*c = count(n)
	return nil
}

func (c count) String() string { return strconv.Itoa(int(c)) }

// toggle is on or off.
type toggle bool

func (t *toggle) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "on", "true", "1", "yes":
		*t = true
	case "off", "false", "0", "no":
		*t = false
	default:
		return fmt.Errorf("%q is neither on nor off", text)
	}
	return nil
}

func (t toggle) String() string {
	if t {
		return "on"
	}
	return "off"
}

// list is names between commas. The word none is the empty list.
type list []string

func (l *list) UnmarshalText(text []byte) error {
	*l = list{}
	if string(text) == "none" {
		return nil
	}
	for name := range strings.SplitSeq(string(text), ",") {
		if name = strings.TrimSpace(name); name != "" {
			*l = append(*l, name)
		}
	}
	return nil
}

func (l list) String() string { return strings.Join(l, ",") }

// webURL is an address to call. It may hold a password, so it is shown without.
type webURL struct{ *url.URL }

func (u *webURL) UnmarshalText(text []byte) error {
	// The parser's own error would repeat the text, and with it a password.
	parsed, err := url.Parse(string(text))
	switch {
	case err != nil:
		return errors.New("not a URL")
	case parsed.Scheme != "http" && parsed.Scheme != "https", parsed.Host == "":
		return errors.New("not an http:// or https:// URL with a host")
	}
	u.URL = parsed
	return nil
}

func (u webURL) String() string {
	if u.URL == nil {
		return ""
	}
	shown := *u.URL
	if shown.RawQuery != "" {
		shown.RawQuery = "hidden"
	}
	return shown.Redacted()
}
