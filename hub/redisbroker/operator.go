package redisbroker

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

var _ hub.Operator = (*Broker)(nil)

// Send implements [hub.Operator]. Messages to one address keep their order.
func (b *Broker) Send(ctx context.Context, messages []hub.Message) []hub.Sent {
	sent := make([]hub.Sent, len(messages))
	batch := make([]publication, len(messages))
	for i, m := range messages {
		batch[i] = publication{addr: m.Addr, body: m.Body, sent: &sent[i]}
	}
	b.publisher.send(ctx, batch)
	return sent
}

// CountTopic implements [hub.Operator].
func (b *Broker) CountTopic(ctx context.Context, topic string) (hub.TopicCount, error) {
	counts, err := b.countTopics(ctx, []string{topic})
	if err != nil {
		return hub.TopicCount{}, err
	}
	return counts[0], nil
}

// countTopics counts topics in one go.
func (b *Broker) countTopics(ctx context.Context, topics []string) ([]hub.TopicCount, error) {
	k := b.directory.keys
	pipe := b.client.Pipeline()
	for _, topic := range topics {
		pipe.SCard(ctx, k.members(topic))
		pipe.HLen(ctx, k.presence(topic))
	}
	cmds, _ := pipe.Exec(ctx) // each command has its own error
	for _, c := range cmds {
		if err := c.Err(); err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") { // not one of our sets: nobody is in it
			return nil, err
		}
	}
	counts := make([]hub.TopicCount, len(topics))
	for i, topic := range topics {
		counts[i] = hub.TopicCount{Topic: topic, Members: cmds[2*i].(*redis.IntCmd).Val(), Present: cmds[2*i+1].(*redis.IntCmd).Val()}
	}
	return counts, nil
}

// cursorOf reads a cursor of one scan.
func cursorOf(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, hub.ErrCursor
	}
	return n, nil
}

// cursorText is the way back: a scan that is over has none.
func cursorText(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// ListMembers implements [hub.Operator].
func (b *Broker) ListMembers(ctx context.Context, topic, cursor string, limit int) ([]string, string, error) {
	at, err := cursorOf(cursor)
	if err != nil {
		return nil, "", err
	}
	list, next, err := b.client.SScan(ctx, b.directory.keys.members(topic), at, "", int64(limit)).Result()
	return list, cursorText(next), err
}

// ListPresence implements [hub.Operator].
func (b *Broker) ListPresence(ctx context.Context, topic, cursor string, limit int) (list []hub.Shown, next string, err error) {
	at, err := cursorOf(cursor)
	if err != nil {
		return nil, "", err
	}
	pairs, after, err := b.client.HScan(ctx, b.directory.keys.presence(topic), at, "", int64(limit)).Result()
	for i := 0; i+1 < len(pairs); i += 2 {
		if s, err := hub.ParseShown([]byte(pairs[i+1])); err == nil {
			s.Connection = pairs[i]
			list = append(list, s)
		}
	}
	return list, cursorText(after), err
}

// FindConnection implements [hub.Operator]. It looks through all that the connection's pod has entered.
func (b *Broker) FindConnection(ctx context.Context, connection string) (hub.ConnectionState, error) {
	dot := strings.LastIndexByte(connection, '.')
	if dot < 0 {
		return hub.ConnectionState{}, hub.ErrUnknown
	}
	state := hub.ConnectionState{Connection: connection, Pod: connection[:dot]}
	found := false
	for cursor := uint64(0); ; {
		pairs, next, err := b.client.HScan(ctx, b.directory.keys.indexOf(state.Pod), cursor, globEscaper.Replace(connection)+"*", batchSize).Result()
		if err != nil {
			return state, err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			m := parseEntry(pairs[i], pairs[i+1])
			if m.Connection != connection {
				continue
			}
			found = true
			if !m.Bare && !slices.Contains(state.Topics, m.Topic) {
				state.Topics = append(state.Topics, m.Topic)
			}
			describe(&state, m.Notice.Record)
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	if !found {
		return state, hub.ErrUnknown
	}
	slices.Sort(state.Topics)
	return state, nil
}

// describe takes from a record what it says of its connection: the data of a notice, but for its last field.
func describe(state *hub.ConnectionState, record string) {
	at := strings.IndexByte(record, '{')
	if at < 0 {
		return
	}
	var data struct {
		ID        string
		Transport string
		RemoteIP  string `json:"remote_ip"`
	}
	if json.Unmarshal([]byte(record[at:]+"}"), &data) == nil {
		state.ID, state.Transport, state.RemoteIP = data.ID, data.Transport, data.RemoteIP
	}
}

// ListPods implements [hub.Operator].
func (b *Broker) ListPods(ctx context.Context) ([]hub.PodState, error) {
	k := b.directory.keys
	now, err := b.client.Time(ctx).Result()
	if err != nil {
		return nil, err
	}
	leases, err := b.client.ZRangeWithScores(ctx, k.pods(), 0, -1).Result()
	if err != nil {
		return nil, err
	}
	pipe := b.client.Pipeline()
	pods := make([]hub.PodState, len(leases))
	reports := make([]*redis.StringCmd, len(leases))
	for i, l := range leases {
		pods[i].ID, _ = l.Member.(string)
		pods[i].Left = time.UnixMilli(int64(l.Score)).Sub(now)
		reports[i] = pipe.Get(ctx, k.report(pods[i].ID))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i := range pods {
		if err := reports[i].Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		var r report
		if json.Unmarshal([]byte(reports[i].Val()), &r) == nil {
			pods[i].Said, pods[i].Reports = r.At, r.PodReport
		}
	}
	slices.SortFunc(pods, func(a, b hub.PodState) int { return strings.Compare(a.ID, b.ID) })
	return pods, nil
}
