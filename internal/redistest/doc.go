// Package redistest gives tests a Redis of their own: miniredis in the process, or a real redis-server that can be
// killed, stopped and restarted on the same port; alone, as a Cluster, or behind Sentinel.
//
// Without redis-server in the path, tests that need it are skipped, or fail if CI is set.
package redistest
