package redisbroker

import (
	"context"
	"crypto/tls"
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

// noRetry tells go-redis to send every command once: a PUBLISH that is sent again may arrive twice.
const noRetry = -1

// client is a go-redis client for any kind of installation.
type client struct {
	redis.UniversalClient
	cluster *redis.ClusterClient // nil unless it is one
	single  *redis.Client        // nil if it is a cluster
}

func newClient(a address) *client {
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
		return &client{UniversalClient: c, cluster: c}
	case sentinel:
		c := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: a.master, SentinelAddrs: a.hosts, SentinelUsername: a.sentinelUsername, SentinelPassword: a.sentinelPassword,
			Username: a.username, Password: a.password, DB: a.db, TLSConfig: config,
			Protocol: 2, DisableIdentity: true, MaxRetries: noRetry,
			DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout,
			ContextTimeoutEnabled: true, PipelinePoolSize: -1, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		})
		return &client{UniversalClient: c, single: c}
	default:
		c := redis.NewClient(&redis.Options{
			Addr: a.hosts[0], Username: a.username, Password: a.password, DB: a.db, TLSConfig: config,
			Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: off, MaxRetries: noRetry,
			DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout,
			ContextTimeoutEnabled: true, PipelinePoolSize: -1, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		})
		return &client{UniversalClient: c, single: c}
	}
}

// node returns a client of the one server that stands for key. In a cluster it is that of the key's slot, on every pod,
// so that what is published to one channel takes one way and keeps its order.
func (c *client) node(ctx context.Context, key string) (*redis.Client, error) {
	if c.cluster == nil {
		return c.single, nil
	}
	return c.cluster.MasterForKey(ctx, key)
}

// suspect tells that a node did not answer. A cluster is asked anew who is who.
func (c *client) suspect(ctx context.Context) {
	if c.cluster != nil {
		c.cluster.ReloadState(ctx)
	}
}

// dial opens a bare connection to the server that stands for key.
func (c *client) dial(ctx context.Context, key string) (net.Conn, *redis.Options, error) {
	node, err := c.node(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	options := node.Options()
	conn, err := options.Dialer(ctx, options.Network, options.Addr)
	if err != nil {
		c.suspect(ctx)
		return nil, nil, err
	}
	return conn, options, nil
}
