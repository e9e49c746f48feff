package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// signer signs requests as Standard Webhooks says, once with each key.
type signer [][]byte

// newSigner reads secrets. Its errors do not repeat them.
func newSigner(secrets []string) (signer, error) {
	var s signer
	for i, secret := range strings.Fields(strings.Join(secrets, " ")) {
		text, found := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !found || err != nil || len(key) == 0 {
			return nil, fmt.Errorf("secret %d is not whsec_ followed by base64", i+1)
		}
		s = append(s, key)
	}
	return s, nil
}

// sign returns the value of webhook-signature.
func (s signer) sign(id string, timestamp int64, body []byte) string {
	var out []byte
	for i, key := range s {
		if i > 0 {
			out = append(out, ' ')
		}
		mac := hmac.New(sha256.New, key)
		mac.Write(strconv.AppendInt([]byte(id+"."), timestamp, 10))
		mac.Write([]byte{'.'})
		mac.Write(body)
		out = base64.StdEncoding.AppendEncode(append(out, "v1,"...), mac.Sum(nil))
	}
	return string(out)
}
