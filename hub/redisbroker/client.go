package redisbroker

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timeouts of one command. Callers wait for their sum at most, so they stay below the gateway's call timeout of 5 s.
const (
	dialTimeout    = 2 * time.Second
	commandTimeout = 3 * time.Second
)

// bufferSize is that of each pooled connection, in bytes. There are few, and the batches are larger than any buffer.
const bufferSize = 16 << 10

// noRetry tells go-redis not to send a command again that failed. The client of a whole cluster does it all the same, when it waited
// in vain or the connection broke. So what must not be done twice, as a PUBLISH, goes to the client of a node.
const noRetry = -1

// client is a go-redis client for any kind of installation.
type client struct {
	redis.UniversalClient
	cluster   *redis.ClusterClient // nil unless it is one
	single    *redis.Client        // nil if it is a cluster
	sharded   bool                 // topics and socket ids are published with SPUBLISH, in their channel's slot
	failsOver bool                 // a replica may become the master, and lack what was written last
}

func newClient(a address, sharded bool) *client {
	var config *tls.Config
	if a.tls {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	off := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch a.kind {
	case cluster:
		c := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: a.hosts, Username: a.username, Password: a.password, TLSConfig: config,
			Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: off, MaxRetries: noRetry,
			DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout,
			ContextTimeoutEnabled: true, PipelinePoolSize: -1, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		})
		return &client{UniversalClient: c, cluster: c, sharded: sharded, failsOver: true}
	case sentinel:
		c := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: a.master, SentinelAddrs: a.hosts, SentinelUsername: a.sentinelUsername, SentinelPassword: a.sentinelPassword,
			Username: a.username, Password: a.password, DB: a.db, TLSConfig: config,
			Protocol: 2, DisableIdentity: true, MaxRetries: noRetry,
			DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout,
			ContextTimeoutEnabled: true, PipelinePoolSize: -1, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		})
		return &client{UniversalClient: c, single: c, sharded: sharded, failsOver: true}
	default:
		c := redis.NewClient(&redis.Options{
			Addr: a.hosts[0], Username: a.username, Password: a.password, DB: a.db, TLSConfig: config,
			Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: off, MaxRetries: noRetry,
			DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout,
			ContextTimeoutEnabled: true, PipelinePoolSize: -1, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		})
		return &client{UniversalClient: c, single: c, sharded: sharded}
	}
}

// node returns a client of the one server that stands for key. In a cluster it is the master of the key's slot, on every
// pod, so that what is published to one channel takes one way and keeps its order.
func (c *client) node(ctx context.Context, key string) (*redis.Client, error) {
	if c.cluster == nil {
		return c.single, nil
	}
	return c.cluster.MasterForKey(ctx, key)
}

// at returns a client of its own for the node at addr of the cluster. The caller closes it.
func (c *client) at(ctx context.Context, addr string) (*redis.Client, error) {
	like, err := c.cluster.MasterForKey(ctx, "")
	if err != nil {
		return nil, err
	}
	options := *like.Options()
	options.Addr = addr
	return redis.NewClient(&options), nil
}

// moved reads the error by which the node at from tells that a slot is at another one.
func moved(err, from string) (slot uint16, at string, ok bool) {
	var n int
	if _, err := fmt.Sscanf(err, "MOVED %d %s", &n, &at); err != nil || n < 0 || n >= slots {
		return 0, "", false
	}
	if host, port, err := net.SplitHostPort(at); err == nil && host == "" { // the same host
		host, _, _ = net.SplitHostPort(from)
		at = net.JoinHostPort(host, port)
	}
	return uint16(n), at, true
}

// suspect tells that a node did not answer. A cluster is asked anew who is who.
func (c *client) suspect(ctx context.Context) {
	if c.cluster != nil {
		c.cluster.ReloadState(ctx)
	}
}

// dial opens a bare connection to the node at addr, or, if that is "", to the server that stands for key.
func (c *client) dial(ctx context.Context, addr, key string) (net.Conn, *redis.Options, error) {
	node, err := c.node(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	options := node.Options()
	if addr == "" {
		addr = options.Addr
	}
	conn, err := options.Dialer(ctx, options.Network, addr)
	if err != nil {
		c.suspect(ctx)
		return nil, nil, err
	}
	return conn, options, nil
}
