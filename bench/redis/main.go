// Command redis measures what the parts of Roost's work cost a Redis server, for docs/scale.md: CPU time of the server by its
// own account, per publish and subscriber, per pattern, per join and per subscription. Use a server that nobody else uses:
//
//	redis-server --port 7777 --save '' & go run ./bench/redis -addr 127.0.0.1:7777
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:6379", "the server")
	count := flag.Int("count", 100_000, "operations of each kind")
	flag.Parse()
	b := &bench{client: redis.NewClient(&redis.Options{Addr: *addr, Protocol: 2}), addr: *addr, count: *count}
	if err := b.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "redis:", err)
		os.Exit(1)
	}
}

type bench struct {
	client *redis.Client
	addr   string
	count  int
}

func (b *bench) run(ctx context.Context) error {
	payload := strings.Repeat("x", 200)
	publish := func(p redis.Pipeliner, _ int) { p.Publish(ctx, "roost:topic:bench", payload) }
	for _, n := range []int{0, 1, 10, 50} {
		close, err := b.listen(n, func(int) string { return "SUBSCRIBE roost:topic:bench" })
		if err != nil {
			return err
		}
		err = b.measure(ctx, fmt.Sprintf("publish of 200 bytes, %d pods subscribed", n), publish)
		close()
		if err != nil {
			return err
		}
	}
	for _, n := range []int{10, 100} {
		close, err := b.listen(n, func(i int) string { return fmt.Sprintf("PSUBSCRIBE roost:conn:pod-%d.*", i) })
		if err != nil {
			return err
		}
		err = b.measure(ctx, fmt.Sprintf("publish, nobody subscribed, patterns of %d pods", n), publish)
		close()
		if err != nil {
			return err
		}
	}
	if err := b.measure(ctx, "join: an entry in the index and one in the set", func(p redis.Pipeliner, i int) {
		p.HSet(ctx, "roost:pod:bench:members", fmt.Sprintf("bench.%d rooms:%d", i, i%1000), `"1"`)
		p.SAdd(ctx, fmt.Sprintf("roost:{rooms:%d}:members", i%1000), fmt.Sprint("bench.", i))
	}); err != nil {
		return err
	}
	if err := b.measure(ctx, "leave: the same two taken back", func(p redis.Pipeliner, i int) {
		p.SRem(ctx, fmt.Sprintf("roost:{rooms:%d}:members", i%1000), fmt.Sprint("bench.", i))
		p.HDel(ctx, "roost:pod:bench:members", fmt.Sprintf("bench.%d rooms:%d", i, i%1000))
	}); err != nil {
		return err
	}
	return b.subscriptions(ctx)
}

// measure prints the server's CPU time per operation.
func (b *bench) measure(ctx context.Context, what string, op func(p redis.Pipeliner, i int)) error {
	before, err := b.cpu(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	for i := 0; i < b.count; {
		pipe := b.client.Pipeline()
		for range min(500, b.count-i) {
			op(pipe, i)
			i++
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return b.tell(ctx, what, before, time.Since(began))
}

// tell prints what has been used since before.
func (b *bench) tell(ctx context.Context, what string, before, took time.Duration) error {
	after, err := b.cpu(ctx)
	if err != nil {
		return err
	}
	each := float64((after - before).Microseconds()) / float64(b.count)
	_, err = fmt.Printf("%-55s %6.2f µs of CPU, %8.0f a second\n", what, each, float64(b.count)/took.Seconds())
	return err
}

// listen opens n connections that say what command tells them, and read what comes.
func (b *bench) listen(n int, command func(int) string) (close func(), err error) {
	var conns []net.Conn
	close = func() {
		for _, c := range conns {
			c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	for i := range n {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			return close, err
		}
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, command(i)+"\r\n"); err != nil {
			return close, err
		}
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	}
	time.Sleep(200 * time.Millisecond)
	return close, nil
}

// subscriptions measures SUBSCRIBE, in commands of 512 channels.
func (b *bench) subscriptions(ctx context.Context) error {
	before, err := b.cpu(ctx)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	read := make(chan error, 1)
	last := fmt.Sprintf("roost:topic:rooms:%d\r\n", b.count-1)
	go func() { read <- until(conn, last) }()
	began := time.Now()
	for i := 0; i < b.count; {
		n := min(512, b.count-i)
		var command strings.Builder
		fmt.Fprintf(&command, "*%d\r\n$9\r\nSUBSCRIBE\r\n", n+1)
		for range n {
			channel := fmt.Sprint("roost:topic:rooms:", i)
			fmt.Fprintf(&command, "$%d\r\n%s\r\n", len(channel), channel)
			i++
		}
		if _, err := io.WriteString(conn, command.String()); err != nil {
			return err
		}
	}
	if err := <-read; err != nil {
		return err
	}
	return b.tell(ctx, "subscription, 512 in a command", before, time.Since(began))
}

// until reads until text has come.
func until(r io.Reader, text string) error {
	buf, tail := make([]byte, 64<<10), ""
	for !strings.Contains(tail, text) {
		n, err := r.Read(buf)
		if err != nil {
			return err
		}
		tail += string(buf[:n])
		tail = tail[max(0, len(tail)-n-len(text)):]
	}
	return nil
}

// cpu is the CPU time that the server has used.
func (b *bench) cpu(ctx context.Context) (time.Duration, error) {
	info, err := b.client.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return time.Duration(sum * float64(time.Second)), nil
}
