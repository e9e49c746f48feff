package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"roost/auth"
)

// maxRefusals is how many refused connects a pod remembers.
const maxRefusals = 10_000

// refusals remembers which connects were refused, for a moment, so that a client that comes back with the same bad
// credentials costs the backend nothing. Of the credentials it keeps a hash.
type refusals struct {
	memory time.Duration
	known  *lru.Cache[[sha256.Size]byte, refused]
}

type refused struct {
	answer *rejection
	until  time.Time
}

func newRefusals(memory time.Duration) *refusals {
	if memory <= 0 {
		return nil
	}
	known, _ := lru.New[[sha256.Size]byte, refused](maxRefusals) // fails for no room only
	return &refusals{memory, known}
}

// credentials hashes all that the backend decides by.
func credentials(c *auth.Client) [sha256.Size]byte {
	var all []byte
	field := func(text []byte) { all = append(binary.AppendUvarint(all, uint64(len(text))), text...) }
	field([]byte(c.RemoteIP))
	field([]byte(c.Transport))
	field(c.Params)
	field(c.Headers)
	if c.AuthToken != nil {
		field([]byte(*c.AuthToken))
	}
	return sha256.Sum256(all)
}

// connectOnce is connect, but does not ask again what was refused a moment ago.
func (g *Gateway) connectOnce(r *http.Request, o *offer) error {
	if g.refusals == nil {
		return g.connect(r, o)
	}
	key := credentials(o.client)
	if known, found := g.refusals.known.Get(key); found && time.Now().Before(known.until) {
		g.limited(limitRefusals, "ip", o.client.RemoteIP)
		return known.answer
	}
	err := g.connect(r, o)
	if err == nil {
		return nil
	}
	no := rejectionOf(err)
	if no.status == http.StatusUnauthorized || no.status == http.StatusForbidden {
		g.refusals.known.Add(key, refused{no, time.Now().Add(g.refusals.memory)})
	}
	return err
}
