package main

import (
	"fmt"
	"net"
	"strconv"

	"github.com/alicebob/miniredis/v2"
)

// The ports that the embedded Redis tries: the one that redis-cli takes by itself, and those behind it.
const (
	firstRedisPort = 6379
	lastRedisPort  = 6478
)

// startRedis starts the embedded Redis on loopback. Its caller closes it.
func startRedis() (*miniredis.Miniredis, error) {
	var last error
	for number := firstRedisPort; number <= lastRedisPort; number++ {
		redis := miniredis.NewMiniRedis()
		redis.ClockTTL(true)
		if last = redis.StartAddr(net.JoinHostPort(loopback, strconv.Itoa(number))); last == nil {
			return redis, nil
		}
	}
	return nil, fmt.Errorf("no port for the embedded Redis from %d to %d: %w", firstRedisPort, lastRedisPort, last)
}
