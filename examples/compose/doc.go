// Package compose tests docker-compose.yml without a Docker engine: it starts the same programs with the same settings, as
// processes on loopback, and talks through the proxy.
package compose
