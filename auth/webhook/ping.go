package webhook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"
)

// pingBody asks nothing. It is sent by gateway doctor only; a backend may answer what it likes to a type it does not know.
const pingBody = `{"type":"roost.ping","timestamp":"%s","data":{}}`

// Pong is what a backend answered to [Client.Ping].
type Pong struct {
	Status   int           // to a call that is signed as all calls are
	Unsigned int           // to the same call with a wrong signature; 0 if no secret is set
	Took     time.Duration // of the first
}

// Accepted tells whether the backend took the signature.
func (p Pong) Accepted() bool { return !denied(p.Status) }

// Verifies tells whether the backend refuses a call that is not signed by a secret it knows.
func (p Pong) Verifies() bool { return denied(p.Unsigned) }

func denied(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// Ping calls the backend with a request of type roost.ping, and once more with a wrong signature. It needs no Run, and fails
// if the backend does not answer within Config.Timeout.
func (c *Client) Ping(ctx context.Context) (Pong, error) {
	sent := time.Now()
	status, err := c.ping(ctx, false)
	pong := Pong{Status: status, Took: time.Since(sent)}
	if err != nil || len(c.main.signer) == 0 {
		return pong, err
	}
	pong.Unsigned, err = c.ping(ctx, true)
	return pong, err
}

func (c *Client) ping(ctx context.Context, forged bool) (status int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.main.timeout, errDeadline)
	defer cancel()
	body := fmt.Appendf(nil, pingBody, time.Now().UTC().Format(time.RFC3339))
	request := c.main.request(ctx, push, newID(), body)
	if forged {
		signature := make([]byte, sha256.Size)
		_, _ = rand.Read(signature) // never fails
		request.Header["Webhook-Signature"] = []string{"v1," + base64.StdEncoding.EncodeToString(signature)}
	}
	response, err := c.main.transport.RoundTrip(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
