package redisbroker_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"roost/hub/redisbroker"
)

func TestAddress(t *testing.T) {
	type address = redisbroker.Address
	for raw, want := range map[string]address{
		"redis://cache":                 {Kind: "standalone", Hosts: []string{"cache:6379"}},
		"redis://cache:7000/":           {Kind: "standalone", Hosts: []string{"cache:7000"}},
		" redis://:7000// ":             {Kind: "standalone", Hosts: []string{"localhost:7000"}},
		"redis://cache/3":               {Kind: "standalone", Hosts: []string{"cache:6379"}, DB: 3},
		"redis://cache/3/":              {Kind: "standalone", Hosts: []string{"cache:6379"}, DB: 3},
		"redis://cache?db=4":            {Kind: "standalone", Hosts: []string{"cache:6379"}, DB: 4},
		"redis://[::1]":                 {Kind: "standalone", Hosts: []string{"[::1]:6379"}},
		"redis://[::1]:7000":            {Kind: "standalone", Hosts: []string{"[::1]:7000"}},
		"REDISS://:p%40ss%2F@cache":     {Kind: "standalone", Hosts: []string{"cache:6379"}, TLS: true, User: [4]string{"", "p@ss/"}},
		"redis://me:a@b:c@cache":        {Kind: "standalone", Hosts: []string{"cache:6379"}, User: [4]string{"me", "a@b:c"}},
		"redis://a,b:7000":              {Kind: "cluster", Hosts: []string{"a:6379", "b:7000"}},
		"redis://a/, redis://b/":        {Kind: "cluster", Hosts: []string{"a:6379", "b:6379"}},
		"rediss://u:p@a,rediss://u:p@b": {Kind: "cluster", Hosts: []string{"a:6379", "b:6379"}, TLS: true, User: [4]string{"u", "p"}},
		"redis+sentinel://a,b:26000/main?db=2": {
			Kind: "sentinel", Hosts: []string{"a:26379", "b:26000"}, Master: "main", DB: 2},
		"rediss+sentinel://u:p@a/main/?sentinel_username=s&sentinel_password=t%26": {
			Kind: "sentinel", Hosts: []string{"a:26379"}, Master: "main", TLS: true, User: [4]string{"u", "p", "s", "t&"}},
	} {
		t.Run(raw, func(t *testing.T) {
			got, err := redisbroker.ParseAddress(raw)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v, nil", got, err, want)
			}
		})
	}
}

func TestAddressErrors(t *testing.T) {
	const secret = "s3cr3t"
	for raw, want := range map[string]string{
		"":                                   "none given",
		"cache:6379":                         "must begin with",
		"http://:s3cr3t@cache":               "must begin with",
		"redis://:s3cr3t@a,rediss://b":       "must begin with",
		"redis://:s3cr3t%zz@cache":           "percent-encode",
		"redis://s3cr3t@cache":               "percent-encode",
		"redis://:s3cr3t/x@cache":            "percent-encod",
		"redis://:s3cr3t#x@cache":            "percent-encoded",
		"redis://:x?s3cr3t@cache":            "host or port",
		"redis://cache?s3cr3t=1":             "unknown or wrong parameter",
		"redis://cache?db=s3cr3t":            "unknown or wrong parameter",
		"redis://cache?sentinel_username=me": "unknown or wrong parameter",
		"redis://cache/s3cr3t":               "database number",
		"redis://cache:s3cr3t":               "host or port",
		"redis://cache:70000":                "host or port",
		"redis://:s3cr3t@a,":                 "host or port",
		"redis://a,b/1":                      "database 0 only",
		"redis://u:s3cr3t@a,redis://u:x@b":   "same user and password",
		"redis+sentinel://:s3cr3t@a":         "name of the master",
		"redis+sentinel://a/s3cr3t/main":     "name of the master",
	} {
		t.Run(raw, func(t *testing.T) {
			_, err := redisbroker.Open(redisbroker.Config{URL: raw, PodID: "pod-a"})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	for name, cfg := range map[string]redisbroker.Config{
		"no pod id":            {URL: "redis://a"},
		"pod id with a space":  {URL: "redis://a", PodID: "pod a"},
		"negative message":     {URL: "redis://a", PodID: "pod-a", MaxMessageSize: -1},
		"negative stream size": {URL: "redis://a", PodID: "pod-a", StreamLength: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := redisbroker.Open(cfg); err == nil {
				t.Error("got nil, want an error")
			}
		})
	}
}

// FuzzAddress: an escaped password comes out as it went in, and no URL makes an error that tells a part of it.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"", "p", "p@ss/w:or?d#,%", "redis://a,b", "redis+sentinel://u:p@a,b/main?db=1", "rediss://[::1]:1/2"} {
		f.Add(s)
	}
	known := map[string]bool{}
	f.Fuzz(func(t *testing.T, s string) {
		if s != "" {
			got, err := redisbroker.ParseAddress("redis://u:" + url.PathEscape(s) + "@cache")
			// PathEscape leaves what separates servers.
			if !strings.Contains(s, ",") && (err != nil || got.User[1] != s) {
				t.Errorf("got %q, %v; want %q", got.User[1], err, s)
			}
		}
		if _, err := redisbroker.ParseAddress(s); err != nil {
			if known[err.Error()] = true; len(known) > 10 {
				t.Errorf("got more than ten texts of errors, the last %q: it depends on the input", err)
			}
		}
	})
}
