package redisbroker

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// Bounds of one page of topics: a scan looks at all keys there are.
const (
	topicScan      = 1000 // keys per command
	topicScanPages = 50   // commands per page
)

// ListTopics implements [hub.Operator]. It scans the keys of all servers, one after the other, so many per page at most.
func (b *Broker) ListTopics(ctx context.Context, match hub.TopicMatch, cursor string, limit int) (topics []hub.TopicCount, next string, err error) {
	if !match.Prefix {
		count, err := b.CountTopic(ctx, match.Text)
		if err == nil && count.Members > 0 {
			topics = append(topics, count)
		}
		return topics, "", err
	}
	nodes, err := b.scanned(ctx)
	if err != nil {
		return nil, "", err
	}
	at, from, err := topicCursor(cursor, nodes)
	if err != nil {
		return nil, "", err
	}
	k := b.directory.keys
	before, behind := k.prefix+"{", "}:members"
	pattern := globEscaper.Replace(before+match.Text) + "*" + globEscaper.Replace(behind)
	var names []string
	for range topicScanPages {
		if at >= len(nodes) || len(names) >= limit {
			break
		}
		found, after, err := nodes[at].ScanType(ctx, from, pattern, topicScan, "set").Result()
		if err != nil {
			return nil, "", err
		}
		for _, key := range found {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(key, before), behind))
		}
		if from = after; from == 0 {
			at++
		}
	}
	if at < len(nodes) {
		next = strconv.Itoa(at) + "-" + strconv.FormatUint(from, 10)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 0 {
		topics, err = b.countTopics(ctx, names)
	}
	return topics, next, err
}

// scanned are the servers that hold keys, in an order that stays.
func (b *Broker) scanned(ctx context.Context) ([]*redis.Client, error) {
	if b.client.cluster == nil {
		return []*redis.Client{b.client.single}, nil
	}
	var nodes []*redis.Client
	found := make(chan *redis.Client, 1000)
	err := b.client.cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		found <- node
		return nil
	})
	close(found)
	for node := range found {
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, func(a, b *redis.Client) int { return strings.Compare(a.Options().Addr, b.Options().Addr) })
	return nodes, err
}

// topicCursor reads which server is next, and where on it.
func topicCursor(text string, nodes []*redis.Client) (at int, from uint64, err error) {
	if text == "" {
		return 0, 0, nil
	}
	node, position, _ := strings.Cut(text, "-")
	if at, err = strconv.Atoi(node); err == nil {
		from, err = strconv.ParseUint(position, 10, 64)
	}
	if err != nil || at < 0 || at >= len(nodes) {
		return 0, 0, hub.ErrCursor
	}
	return at, from, nil
}
