package redisbroker

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// command is one whose answer stands once it has been read. When the connection breaks in the middle of a pipeline, go-redis
// sets that error also on the commands before it.
type command struct {
	redis.Cmd
	answered bool
}

func newCommand(ctx context.Context, args ...any) *command {
	return &command{Cmd: *redis.NewCmd(ctx, args...)}
}

// SetErr implements [redis.Cmder]. go-redis calls it with nil when it has read an answer that is no error.
func (c *command) SetErr(err error) {
	if !c.answered {
		c.answered = err == nil
		c.Cmd.SetErr(err)
	}
}

// sender sends items to nodes, each as one command and each once.
type sender[T any] struct {
	client  *client
	command func(context.Context, T) *command
	end     func(item T, c *command, err error) // what became of it. The command is nil if it was not sent
}

// maxMoves is how often a command follows its slot to another node.
const maxMoves = 3

// sendTo sends a batch to a node in one go. What the node has sent elsewhere it did not carry out, and that goes there.
func (s *sender[T]) sendTo(ctx context.Context, node *redis.Client, batch []T, moves int) {
	pipe := node.Pipeline()
	for _, item := range batch {
		_ = pipe.Process(ctx, s.command(ctx, item)) // it is queued
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		s.client.suspect(ctx)
	}
	var elsewhere map[string][]T
	for i, item := range batch {
		err := cmds[i].Err()
		if err != nil && s.client.cluster != nil && moves < maxMoves {
			if _, at, ok := moved(err.Error(), node.Options().Addr); ok {
				if elsewhere == nil {
					elsewhere = map[string][]T{}
				}
				elsewhere[at] = append(elsewhere[at], item)
				continue
			}
		}
		c, _ := cmds[i].(*command)
		s.end(item, c, err)
	}
	for at, part := range elsewhere {
		s.follow(ctx, at, part, moves+1)
	}
}

// follow sends a batch to the node at addr.
func (s *sender[T]) follow(ctx context.Context, addr string, batch []T, moves int) {
	node, err := s.client.at(ctx, addr)
	if err != nil {
		s.fail(batch, err)
		return
	}
	defer node.Close()
	s.sendTo(ctx, node, batch, moves)
}

// fail ends a batch that was not sent.
func (s *sender[T]) fail(batch []T, err error) {
	for _, item := range batch {
		s.end(item, nil, err)
	}
}
