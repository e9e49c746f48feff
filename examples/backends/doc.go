// Package backends tests the backends of this folder as the README runs them: each as a process, behind a real gateway and Redis.
package backends
