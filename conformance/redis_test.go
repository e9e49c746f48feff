package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is a private redis-server that keeps nothing on disk. It can be killed and started again at the same port.
type redisServer struct {
	port   int
	args   []string
	cmd    *exec.Cmd
	client *redis.Client
}

// startRedis starts a server with more arguments for its command line.
func startRedis(args ...string) (*redisServer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &redisServer{port: port, args: args}
	s.client = redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1})
	return s, s.start()
}

// start starts the server and waits until it answers.
func (s *redisServer) start() error {
	args := append([]string{"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if s.client.Ping(context.Background()).Err() == nil {
			return nil
		}
	}
	return errors.New("redis-server does not answer")
}

// kill ends the server at once, as a crash would.
func (s *redisServer) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// pause makes the server hang, until the function it returns is called.
func (s *redisServer) pause(t testing.TB) (resume func()) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume = func() { s.cmd.Process.Signal(syscall.SIGCONT) }
	t.Cleanup(resume)
	return resume
}

func (s *redisServer) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *redisServer) url() string { return "redis://" + s.addr() }

// publish sends body to roost:<to>.
func (s *redisServer) publish(t testing.TB, to, body string) {
	t.Helper()
	if err := s.client.Publish(context.Background(), "roost:"+to, body).Err(); err != nil {
		t.Errorf("publish to %s: %v", to, err)
	}
}

// members returns the membership set of topic.
func (s *redisServer) members(t testing.TB, topic string) []string {
	t.Helper()
	members, err := s.client.SMembers(context.Background(), "roost:{"+topic+"}:members").Result()
	if err != nil {
		t.Errorf("members of %s: %v", topic, err)
	}
	return members
}

// freePort returns a TCP port of 127.0.0.1 that nobody listens on.
func freePort() (int, error) {
	for range 1000 {
		port := 10_000 + rand.IntN(20_000) // outside the range from which connections get theirs
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port")
}

// ownRedis starts a server for one test.
func ownRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	s, err := startRedis(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}
