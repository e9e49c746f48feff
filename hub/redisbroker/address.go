package redisbroker

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// kind is how a Redis installation is built.
type kind uint8

const (
	standalone kind = iota
	sentinel
	cluster
)

// address is a parsed REDIS_URL.
type address struct {
	kind               kind
	tls                bool
	hosts              []string // host:port; of the sentinels if kind is sentinel
	username, password string
	db                 int

	master                             string // sentinel only, like the next two
	sentinelUsername, sentinelPassword string
}

// What can be wrong with a URL. No text holds a part of the URL: any part may be a part of the password, if that was not
// escaped.
var (
	errNoURL     = errors.New("redis url: none given")
	errScheme    = errors.New("redis url: must begin with redis://, rediss://, redis+sentinel:// or rediss+sentinel://, the same for all servers")
	errUser      = errors.New("redis url: wrong user or password; percent-encode special characters, and write :password@ for a password alone")
	errUsers     = errors.New("redis url: servers of one cluster must have the same user and password")
	errHost      = errors.New("redis url: wrong host or port; is there a special character in the password that needs percent-encoding?")
	errDB        = errors.New("redis url: the path must be a database number, or empty; is there a special character in the password that needs percent-encoding?")
	errClusterDB = errors.New("redis url: a cluster has database 0 only")
	errMaster    = errors.New("redis url: sentinel needs the name of the master as its path: redis+sentinel://host,host/master")
	errQuery     = errors.New("redis url: unknown or wrong parameter; known are db and, for sentinel, sentinel_username and sentinel_password")
	errFragment  = errors.New("redis url: # must be percent-encoded")
)

const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// parseAddress reads a REDIS_URL. Its errors never tell what is in it.
func parseAddress(raw string) (address, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return address{}, errNoURL
	}
	if strings.Contains(raw, "#") {
		return address{}, errFragment
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return address{}, errScheme
	}
	a := address{}
	switch strings.ToLower(scheme) {
	case "redis":
	case "rediss":
		a.tls = true
	case "redis+sentinel":
		a.kind = sentinel
	case "rediss+sentinel":
		a.kind, a.tls = sentinel, true
	default:
		return address{}, errScheme
	}
	if a.kind == sentinel {
		return a, a.parseSentinel(rest)
	}
	return a, a.parseServers(strings.ToLower(scheme), rest)
}

// parseServers reads "user:password@host:port/db", one or several, of which all but the first may begin with the scheme.
func (a *address) parseServers(scheme, rest string) error {
	servers := strings.Split(rest, ",")
	if len(servers) > 1 {
		a.kind = cluster
	}
	for i, server := range servers {
		server = strings.TrimSpace(server)
		if s, r, ok := strings.Cut(server, "://"); ok {
			if i == 0 || !strings.EqualFold(s, scheme) {
				return errScheme
			}
			server = r
		}
		if server == "" && len(servers) > 1 {
			return errHost
		}
		authority, path, query := split(server)
		if err := a.parseAuthority(authority, redisPort, i == 0); err != nil {
			return err
		}
		if err := a.parseDB(strings.Trim(path, "/")); err != nil {
			return err
		}
		if err := a.parseQuery(query); err != nil {
			return err
		}
	}
	if a.kind == cluster && a.db != 0 {
		return errClusterDB
	}
	return nil
}

// parseSentinel reads "user:password@host:port,host:port/master?db=0".
func (a *address) parseSentinel(rest string) error {
	authority, path, query := split(rest)
	for i, host := range strings.Split(authority, ",") {
		if err := a.parseAuthority(strings.TrimSpace(host), sentinelPort, i == 0); err != nil {
			return err
		}
	}
	master, err := url.PathUnescape(strings.Trim(path, "/"))
	if err != nil || master == "" || strings.Contains(master, "/") {
		return errMaster
	}
	a.master = master
	return a.parseQuery(query)
}

// split cuts what stands behind "://".
func split(s string) (authority, path, query string) {
	s, query, _ = strings.Cut(s, "?")
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i], s[i:], query
	}
	return s, "", query
}

// parseAuthority reads "user:password@host:port". Only the first must name the user.
func (a *address) parseAuthority(s, defaultPort string, first bool) error {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		username, password, err := parseUser(s[:i])
		if err != nil {
			return err
		}
		if !first && (username != a.username || password != a.password) {
			return errUsers
		}
		a.username, a.password = username, password
		s = s[i+1:]
	}
	host, err := parseHost(s, defaultPort)
	if err != nil {
		return err
	}
	a.hosts = append(a.hosts, host)
	return nil
}

func parseUser(s string) (username, password string, err error) {
	user, pass, ok := strings.Cut(s, ":")
	if username, err = url.PathUnescape(user); err != nil {
		return "", "", errUser
	}
	if password, err = url.PathUnescape(pass); err != nil {
		return "", "", errUser
	}
	if !ok || password == "" && username != "" {
		return "", "", errUser
	}
	return username, password, nil
}

// parseHost reads "host", "host:port", "[ipv6]" or "[ipv6]:port". No host means localhost.
func parseHost(s, defaultPort string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if host, port, err = net.SplitHostPort(s + ":" + defaultPort); err != nil {
			return "", errHost
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errHost
	}
	if strings.ContainsAny(host, " \t\r\n\"'`\\%<>[]{}|^") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", errHost
	}
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}

func (a *address) parseDB(s string) error {
	if s == "" {
		return nil
	}
	db, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return errDB
	}
	a.db = int(db)
	return nil
}

func (a *address) parseQuery(s string) error {
	values, err := url.ParseQuery(strings.TrimRight(s, "/"))
	if err != nil {
		return errQuery
	}
	for name, value := range values {
		switch {
		case len(value) != 1:
			return errQuery
		case name == "db":
			if err := a.parseDB(value[0]); err != nil {
				return errQuery
			}
		case name == "sentinel_username" && a.kind == sentinel:
			a.sentinelUsername = value[0]
		case name == "sentinel_password" && a.kind == sentinel:
			a.sentinelPassword = value[0]
		default:
			return errQuery
		}
	}
	return nil
}
