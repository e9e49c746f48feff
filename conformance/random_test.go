package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/internal/redistest"
)

var (
	randomRounds = flag.Int("random.rounds", 4, "how often the randomized test comes to rest")
	randomSeed   = flag.Uint64("random.seed", 0, "the randomized test's seed; 0 takes a new one")
)

// chaos is three pods, their Redis, a crowd of phoenix.js clients, and what they should believe.
type chaos struct {
	t      *testing.T
	random *rand.Rand
	redis  redis.UniversalClient
	more   settings // of the pods
	ledger *ledger
	front  *service
	pods   []*randomPod
	crowd  *crowdProcess

	grace   string                      // in which who comes back is not noticed
	clients map[string]map[string]*part // by name and topic
	names   int
	wrong   struct{ client, topic string } // the last that was not at rest
}

// part is what one client shows in one topic.
type part struct{ key, d string }

type randomPod struct {
	*pod
	id         string
	url        string // of its Redis
	generation int
	frozen     bool
}

func (c *chaos) startPod(n int) {
	c.t.Helper()
	p := c.pods[n]
	if p.generation++; p.pod != nil {
		p.log.Close()
	}
	p.id = fmt.Sprintf("chaos-%d-%d", n, p.generation)
	own := settings{"REDIS_URL": p.url, "ROOST_PRESENCE_GRACE": c.grace, "LOG_LEVEL": "info"}
	maps.Copy(own, c.more)
	p.pod = c.ledger.pod(&redisServer{}, p.id, own)
}

// ready sends new clients to the pods that run.
func (c *chaos) ready() {
	var pods []*pod
	for _, p := range c.pods {
		if !p.frozen {
			pods = append(pods, p.pod)
		}
	}
	c.front.set(pods...)
}

func (c *chaos) pick(names []string) string { return names[c.random.IntN(len(names))] }

// act lets a client do something.
func (c *chaos) act(topics []string) {
	names := slices.Sorted(maps.Keys(c.clients))
	step := c.random.IntN(10)
	if len(names) < 4 {
		step = 0
	}
	if step == 0 && len(names) < 25 {
		c.names++
		name := fmt.Sprint("c", c.names)
		c.clients[name] = map[string]*part{}
		c.crowd.tell(map[string]any{"do": "open", "client": name, "url": "ws://" + c.front.listener.Addr().String() + "/socket"})
		names = []string{name}
		step = 2
	}
	name := c.pick(names)
	parts := c.clients[name]
	topic := c.pick(topics)
	p := parts[topic]
	switch {
	case step == 1:
		c.crowd.tell(map[string]any{"do": "drop", "client": name})
	case step == 9 && c.random.IntN(4) == 0:
		c.crowd.tell(map[string]any{"do": "close", "client": name})
		delete(c.clients, name)
	case p == nil:
		p = &part{d: fmt.Sprint(c.random.IntN(100))}
		if c.random.IntN(4) > 0 {
			p.key = fmt.Sprint("u", c.random.IntN(8))
		}
		parts[topic] = p
		c.crowd.tell(map[string]any{"do": "join", "client": name, "topic": topic, "key": p.key, "d": p.d})
	case step < 7 && p.key != "":
		p.d = fmt.Sprint(c.random.IntN(100))
		c.crowd.tell(map[string]any{"do": "update", "client": name, "topic": topic, "d": p.d})
	case step >= 7:
		c.crowd.tell(map[string]any{"do": "leave", "client": name, "topic": topic})
		delete(parts, topic)
	}
}

var randomTopics = []string{"room:pres-random-1", "room:pres-random-2", "room:pres-random-3"}

// wanted is what everybody should believe of a topic: key to the ds of its metas, and how many members there are.
func (c *chaos) wanted(topic string) (list map[string][]string, members int) {
	list = map[string][]string{}
	for _, parts := range c.clients {
		if p := parts[topic]; p != nil {
			members++
			if p.key != "" {
				list[p.key] = append(list[p.key], p.d)
			}
		}
	}
	for _, ds := range list {
		slices.Sort(ds)
	}
	return list, members
}

func sameLists(a, b map[string][]string) bool { return maps.EqualFunc(a, b, slices.Equal[[]string]) }

// atRest tells what is not yet as it should be.
func (c *chaos) atRest() error {
	var states map[string]clientState
	if err := json.Unmarshal(c.crowd.tell(map[string]any{"do": "state"}), &states); err != nil {
		return err
	}
	ctx := context.Background()
	for _, topic := range randomTopics {
		want, members := c.wanted(topic)
		if n := c.redis.SCard(ctx, "roost:{"+topic+"}:members").Val(); n != int64(members) {
			return fmt.Errorf("%s has %d members in Redis, want %d", topic, n, members)
		}
		kept := map[string][]string{}
		for _, value := range c.redis.HGetAll(ctx, "roost:{"+topic+"}:presence").Val() {
			var s struct {
				Key  string
				Meta struct{ D string }
			}
			if err := json.Unmarshal([]byte(value), &s); err != nil {
				return err
			}
			kept[s.Key] = append(kept[s.Key], s.Meta.D)
		}
		for _, ds := range kept {
			slices.Sort(ds)
		}
		if !sameLists(kept, want) {
			return fmt.Errorf("%s shows %v in Redis, want %v", topic, kept, want)
		}
		for name, parts := range c.clients {
			if parts[topic] == nil {
				continue
			}
			got := states[name].Topics[topic]
			if got.State != "joined" || !sameLists(got.List, want) {
				c.wrong.client, c.wrong.topic = name, topic
				return fmt.Errorf("%s in %s is %s and believes %v, want %v as in Redis", name, topic, got.State, got.List, want)
			}
		}
	}
	for name, s := range states {
		if s.Codes["1000"] > 0 {
			c.t.Errorf("%s was closed with 1000", name)
		}
	}
	return nil
}

// calmTime is how long it may take until all is as it should be: phoenix.js waits 10 s between its later tries, and a pod that was
// frozen or lost its link may have told clients only then.
const calmTime = 60 * time.Second

func (c *chaos) rest() {
	c.t.Helper()
	var err error
	for end := time.Now().Add(calmTime); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = c.atRest(); err == nil {
			time.Sleep(time.Second)
			if err = c.atRest(); err == nil { // and it stays so
				return
			}
		}
	}
	if c.wrong.client != "" && c.clients[c.wrong.client][c.wrong.topic] != nil {
		trace := c.crowd.tell(map[string]any{"do": "trace", "client": c.wrong.client, "topic": c.wrong.topic})
		c.t.Logf("%s in %s got %s", c.wrong.client, c.wrong.topic, bytes.ReplaceAll(trace, []byte(`],["2`), []byte("],\n[\"2")))
	}
	c.t.Fatal(err)
}

// newChaos starts three pods and the process of the clients. connect gives pod n the URL of its Redis.
func newChaos(t *testing.T, client redis.UniversalClient, connect func(n int) string, more settings) *chaos {
	t.Helper()
	seed := *randomSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-random.seed %d", seed)
	c := &chaos{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), redis: client, more: more, ledger: newLedger(t), front: newService(t),
		crowd: newCrowd(t), clients: map[string]map[string]*part{},
	}
	c.grace = []string{"0s", "500ms", "3s"}[seed%3]
	t.Logf("grace %s", c.grace)
	c.ledger.crashes = func(push call) bool { return bytes.Contains(push.Data.Payload, []byte(`7"`)) } // of each ten updates one
	for n := range 3 {
		c.pods = append(c.pods, &randomPod{url: connect(n)})
		c.startPod(n)
	}
	c.ready()
	return c
}

// run lets clients do what they like, disturbs them, and looks whether they come to rest, some rounds long. In the end all have
// gone, and the backend knows.
func (c *chaos) run(rounds int, disturbances []disturbance) {
	c.t.Helper()
	for round := range rounds {
		for range 20 + c.random.IntN(20) {
			c.act(randomTopics)
			time.Sleep(time.Duration(c.random.IntN(30)) * time.Millisecond)
		}
		for range c.random.IntN(3) {
			disturbances[c.random.IntN(len(disturbances))](c)
		}
		c.rest()
		c.t.Logf("round %d at rest, %d clients", round+1, len(c.clients))
	}
	for _, name := range slices.Sorted(maps.Keys(c.clients)) {
		c.crowd.tell(map[string]any{"do": "close", "client": name})
		delete(c.clients, name)
	}
	c.rest()
	c.settled()
	c.t.Logf("%d channels were ended by the backend", len(c.ledger.notices(because("error"))))
}

// TestRandom: whatever clients do, and whatever happens to pods and Redis, at rest every client believes what Redis holds and what
// was done, and the backend has been told the end of every join that was answered ok, once.
func TestRandom(t *testing.T) {
	s := redistest.Start(t)
	var proxies []*redistest.Proxy
	c := newChaos(t, s.Client, func(int) string {
		p := redistest.Between(t, s)
		proxies = append(proxies, p)
		return p.URL
	}, nil)
	c.run(*randomRounds, []disturbance{(*chaos).kill, (*chaos).kill, (*chaos).freeze, (*chaos).restart, (*chaos).flush, cutLinks(proxies)})
}

// TestRandomCluster is the same on a Cluster whose slots move and whose masters change, crash or lose what they hold.
func TestRandomCluster(t *testing.T) {
	for name, sharded := range map[string]string{"plain": "off", "sharded": "on"} {
		t.Run(name, func(t *testing.T) {
			s := redistest.StartCluster(t, 1)
			c := newChaos(t, s.Client, func(int) string { return s.URL }, settings{"ROOST_REDIS_SHARDED_PUBSUB": sharded})
			crash := sync.OnceFunc(func() { c.crash(s) })
			c.run(*randomRounds, []disturbance{
				(*chaos).kill, (*chaos).freeze, (*chaos).restart, moveSlots(s), failOver(s), flushOne(s), func(*chaos) { crash() },
			})
		})
	}
}

// TestRandomSentinel is the same where Sentinel makes a replica the master.
func TestRandomSentinel(t *testing.T) {
	s := redistest.StartSentinel(t)
	sentinel := strings.TrimSuffix(strings.TrimPrefix(s.URL, "redis+sentinel://"), "/main")
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{sentinel}})
	t.Cleanup(func() { _ = client.Close() })
	c := newChaos(t, client, func(int) string { return s.URL }, nil)
	c.run(*randomRounds, []disturbance{(*chaos).kill, (*chaos).freeze, (*chaos).restart, promote(sentinel)})
}

// settled checks that the backend was told the end of all joins that clients were answered ok, and no end twice.
func (c *chaos) settled() {
	c.t.Helper()
	ended := func() map[string]int {
		ends := map[string]int{}
		for _, n := range c.ledger.notices(leaves) {
			ends[strings.TrimPrefix(n.end(), n.Type)]++
		}
		return ends
	}
	var allowed []int
	if err := json.Unmarshal(c.crowd.tell(map[string]any{"do": "allowed"}), &allowed); err != nil {
		c.t.Fatal(err)
	}
	open := func() (missing []string) {
		ends := ended()
		c.ledger.mu.Lock()
		defer c.ledger.mu.Unlock()
		for _, j := range c.ledger.joins {
			var payload struct{ Join int }
			if err := json.Unmarshal(j.Data.Payload, &payload); err != nil {
				c.t.Error(err)
			}
			if end := strings.TrimPrefix(j.end(), j.Type); ends[end] == 0 && slices.Contains(allowed, payload.Join) {
				missing = append(missing, end)
			}
		}
		return missing
	}
	for end := time.Now().Add(calmTime); len(open()) > 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}
	if missing := open(); len(missing) > 0 {
		c.t.Errorf("got no notice of the end of %d of %d joins that were answered ok: %v", len(missing), len(allowed), missing)
	}
	for end, n := range ended() {
		if n > 1 {
			c.t.Errorf("got %d distinct notices of the end of%s", n, end)
		}
	}
}
