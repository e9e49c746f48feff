package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// ticketAge is how long the token of a long-poll session is good, as with Phoenix: two weeks.
const ticketAge = 14 * 24 * time.Hour

// ticketPrefix marks our tokens, so that a user's own token in the same parameter costs no HMAC.
const ticketPrefix = "roost1."

var (
	errTicket    = errors.New("gateway: not one of our long-poll tokens")
	errTicketOld = errors.New("gateway: a long-poll token of ours that is too old")
)

// ticket is what the token of a long-poll session says: whose it is, and since when. It is signed, not secret.
type ticket struct {
	connection string // "<pod id>.<something>"
	issued     time.Time
}

// pod returns the id of the pod that has the session.
func (t ticket) pod() string {
	pod, _, _ := strings.Cut(t.connection, ".")
	return pod
}

// sign returns the ticket as a token.
func (t ticket) sign(key []byte) string {
	body := t.connection + " " + strconv.FormatInt(t.issued.Unix(), 36)
	return ticketPrefix + base64.RawURLEncoding.EncodeToString([]byte(body)) + "." +
		base64.RawURLEncoding.EncodeToString(seal(key, "longpoll", body))
}

// parseTicket checks a token's signature, in constant time, and its age. The error is errTicket or errTicketOld.
func parseTicket(token string, key []byte, now time.Time) (ticket, error) {
	rest, ours := strings.CutPrefix(token, ticketPrefix)
	encoded, signature, two := strings.Cut(rest, ".")
	if !ours || !two || strings.ContainsAny(rest, "\r\n") { // which the decoder skips
		return ticket{}, errTicket
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return ticket{}, errTicket
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !hmac.Equal(sum, seal(key, "longpoll", string(body))) {
		return ticket{}, errTicket
	}
	connection, stamp, _ := strings.Cut(string(body), " ")
	seconds, err := strconv.ParseInt(stamp, 36, 64)
	if err != nil {
		return ticket{}, errTicket
	}
	t := ticket{connection, time.Unix(seconds, 0)}
	if age := now.Sub(t.issued); age > ticketAge || age < -time.Hour {
		return ticket{}, errTicketOld
	}
	return t, nil
}

// seal returns the HMAC-SHA256 of body for one purpose.
func seal(key []byte, purpose, body string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write([]byte(body))
	return mac.Sum(nil)
}
