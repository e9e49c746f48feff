package gateway

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

var (
	ticketKey = []byte("a secret that pods share, 32 byt")
	issued    = time.Unix(1_800_000_000, 0)
	someone   = ticket{connection: "pod-a.81f3", issued: issued}
)

func TestTicket(t *testing.T) {
	token := someone.sign(ticketKey)
	got, err := parseTicket(token, ticketKey, issued)
	if err != nil || got.connection != someone.connection || !got.issued.Equal(issued) {
		t.Fatalf("got %+v, %v; want %+v", got, err, someone)
	}
	if got.pod() != "pod-a" {
		t.Errorf("got pod %q, want pod-a", got.pod())
	}
	if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		t.Errorf("got token %q, want one that needs no escaping", token)
	}
	otherPod := ticket{connection: "pod-b.81f3", issued: issued}
	if got, err := parseTicket(otherPod.sign(ticketKey), ticketKey, issued); err != nil || got.pod() != "pod-b" {
		t.Errorf("got %+v, %v; want the token of another pod, which shares the key", got, err)
	}
}

func TestTicketAge(t *testing.T) {
	token := someone.sign(ticketKey)
	for name, c := range map[string]struct {
		at   time.Duration
		good bool
	}{
		"new":                           {0, true},
		"as old as can be":              {ticketAge, true},
		"older":                         {ticketAge + time.Second, false},
		"from a clock a little ahead":   {-time.Hour, true},
		"from a clock that is far away": {-time.Hour - time.Second, false},
	} {
		if _, err := parseTicket(token, ticketKey, issued.Add(c.at)); (err == nil) != c.good {
			t.Errorf("%s: got %v, want good = %t", name, err, c.good)
		}
	}
}

// Nothing is a token but what was signed, as it was signed.
func TestTicketForged(t *testing.T) {
	token := someone.sign(ticketKey)
	encoded, signature, _ := strings.Cut(strings.TrimPrefix(token, ticketPrefix), ".")
	_, hop, _ := strings.Cut(sealHop(ticketKey, "pod-a", issued), " ")
	body := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	otherEncoded, _, _ := strings.Cut(strings.TrimPrefix(ticket{"pod-b.81f3", issued}.sign(ticketKey), ticketPrefix), ".")
	for name, forged := range map[string]string{
		"nothing":                     "",
		"the prefix":                  ticketPrefix,
		"no prefix":                   encoded + "." + signature,
		"another prefix":              "roost2." + encoded + "." + signature,
		"no signature":                ticketPrefix + encoded,
		"an empty signature":          ticketPrefix + encoded + ".",
		"an empty body":               ticketPrefix + "." + signature,
		"another key":                 someone.sign([]byte("another secret")),
		"no key":                      someone.sign(nil),
		"the signature of a hop":      ticketPrefix + encoded + "." + hop,
		"another pod's body":          ticketPrefix + otherEncoded + "." + signature,
		"another connection":          ticketPrefix + body("pod-a.81f4 "+"rrd0hs") + "." + signature,
		"a user's own JWT":            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl",
		"more behind it":              token + "A",
		"padding":                     token + "=",
		"a newline":                   token + "\n",
		"a newline in the body":       ticketPrefix + encoded[:4] + "\n" + encoded[4:] + "." + signature,
		"the token twice":             token + token,
		"a space in front":            " " + token,
		"a signature with bits to it": token[:len(token)-1] + lastBits(token[len(token)-1]),
	} {
		if got, err := parseTicket(forged, ticketKey, issued); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
	for i := range token {
		if got, err := parseTicket(token[:i], ticketKey, issued); err == nil {
			t.Errorf("%d bytes of it: got %+v, want an error", i, got)
		}
	}
	for bit := range 8 * len(token) {
		flipped := []byte(token)
		flipped[bit/8] ^= 1 << (bit % 8)
		if got, err := parseTicket(string(flipped), ticketKey, issued); err == nil {
			t.Errorf("bit %d flipped: got %+v, want an error", bit, got)
		}
	}
}

// lastBits returns another base64 digit with the same bits as far as they count in the last one of 32 bytes.
func lastBits(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return digits[strings.IndexByte(digits, c)^1:][:1]
}

// A body without a time is not one of ours, even if it is signed.
func TestTicketBody(t *testing.T) {
	for _, body := range []string{"", "pod-a.81f3", "pod-a.81f3 ", "pod-a.81f3 !", "pod-a.81f3 rrd0hs x", " "} {
		token := ticketPrefix + base64.RawURLEncoding.EncodeToString([]byte(body)) + "." +
			base64.RawURLEncoding.EncodeToString(seal(ticketKey, "longpoll", body))
		if got, err := parseTicket(token, ticketKey, issued); err == nil {
			t.Errorf("%q: got %+v, want an error", body, got)
		}
	}
}

func FuzzTicket(f *testing.F) {
	token := someone.sign(ticketKey)
	f.Add(token, int64(0))
	f.Add(token[:len(token)-1], int64(0))
	f.Add(someone.sign([]byte("x")), int64(0))
	f.Add(token+"\n", int64(0))
	f.Add("roost1..", int64(5))
	f.Add("roost1.cG9kLWEuODFmMyBycmQwaHM.AAAA", int64(-5))
	f.Fuzz(func(t *testing.T, token string, seconds int64) {
		now := issued.Add(time.Duration(seconds % (1 << 30) * int64(time.Second)))
		got, err := parseTicket(token, ticketKey, now)
		if err != nil {
			return
		}
		// What is good must be what signing makes, byte for byte: there is one spelling of a token.
		if again := got.sign(ticketKey); again != token {
			t.Errorf("got %q for good, want %q alone", token, again)
		}
	})
}
