package conformance_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// longPollWindow is how long pods of the kind lp hold a poll.
const longPollWindow = 2 * time.Second

func TestLongPollMessages(t *testing.T) {
	t.Parallel()
	overOneAndThree(t, func(t *testing.T, addr string) {
		t.Run("L11 join", func(t *testing.T) {
			c := openPoll(t, addr)
			if a := c.post(c.expand(`["1","1",$T,"phx_join",{}]`)); a.body != `{"status":200}` {
				t.Errorf("got %v, want {\"status\":200}", a)
			}
			a := c.poll()
			wantPolled(t, a, http.StatusOK)
			want := fmt.Sprintf(`["1","1",%q,"phx_reply",{"status":"ok","response":{"got":{}}}]`, c.topic)
			if a.Token != c.token || len(a.Messages) != 1 || a.Messages[0] != want || a.took > longPollWindow/2 {
				t.Errorf("got %v after %v, want %s and the token at once", a, a.took, want)
			}
		})
		t.Run("L12 a poll waits", func(t *testing.T) {
			c := openPoll(t, addr)
			poll := c.hold()
			c.send(`[null,"1","phoenix","heartbeat",{}]`, `[null,"2","phoenix","heartbeat",{}]`)
			a := poll.wait()
			wantPolled(t, a, http.StatusOK)
			c.got = a.Messages
			c.want(`[null,"1","phoenix","phx_reply",ok{}]`, `[null,"2","phoenix","phx_reply",ok{}]`)
			c.quiet()
		})
		t.Run("L13 lines", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			wantPolled(t, c.post(c.expand(`["1","2",$T,"ok",{"n":1}]`)+"\n"+c.expand(`["1","3",$T,"ok",{"n":2}]`)+"\r\n"+c.expand(`["1","4",$T,"ok",{"n":3}]`)), 200)
			c.want(`["1","2",$T,"phx_reply",OK({"n":1})]`, `["1","3",$T,"phx_reply",OK({"n":2})]`, `["1","4",$T,"phx_reply",OK({"n":3})]`)
		})
		t.Run("L14 a stale line", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			c.send(`["1","2",$T,"ok",{}]`, `["0","3",$T,"ok",{}]`, `["1","4",$T,"ok",{}]`)
			c.want(`["1","2",$T,"phx_reply",ok{}]`, `["1","4",$T,"phx_reply",ok{}]`)
			c.quiet()
		})
		t.Run("L15 content types", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			for i, kind := range []string{"application/json", "", "application/x-ndjson; charset=utf-8", "text/plain"} {
				wantPolled(t, c.must(http.MethodPost, kind, c.expand(fmt.Sprintf(`["1","%d",$T,"ok",{}]`, i))), 200)
				c.want(fmt.Sprintf(`["1","%d",$T,"phx_reply",ok{}]`, i))
			}
		})
		t.Run("L16 105 lines", func(t *testing.T) {
			c := openPoll(t, addr)
			var ask, want []string
			for i := range 105 {
				ask = append(ask, fmt.Sprintf(`[null,"%d","phoenix","heartbeat",{}]`, i))
				want = append(want, fmt.Sprintf(`[null,"%d","phoenix","phx_reply",ok{}]`, i))
			}
			c.send(ask...)
			c.want(want...)
			c.quiet()
		})
		t.Run("L17 bytes", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			line := base64.StdEncoding.EncodeToString(binaryPush("1", "2", c.topic, "noreply", "\xff\x00"))
			c.send(line, `["1","3",$T,"ok",{}]`)
			c.want(`["1","3",$T,"phx_reply",ok{}]`)
			calls := lab.backend.await(t, 1, c.topic, pushes("noreply"))
			if got := string(calls[0].Data.PayloadBase64); got != "\xff\x00" {
				t.Errorf("got bytes %q at the backend, want ff 00", got)
			}
		})
		t.Run("L18 blank lines", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			for _, body := range []string{"", "\n", "\r\n\r\n", c.expand(`["1","2",$T,"noreply",{}]`) + "\n"} {
				wantPolled(t, c.post(body), 200)
			}
			wantPolled(t, c.must(http.MethodPost, "application/json", ""), 200)
			c.quiet()
		})
		t.Run("L19 no JSON", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			connection := c.connection()
			if a := c.post("[bad"); a.code == http.StatusOK && a.Status == http.StatusOK {
				t.Errorf("got %v, want no 200", a)
			}
			c.gone()
			lab.backend.await(t, 1, c.topic, func(k call) bool { return leaves(k) && k.Data.Connection == connection })
		})
		t.Run("L20 no base64", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			wantError(t, c.post("!!!notb64"), 400, 500)
			wantError(t, c.post(` ["1","2",`), 400, 500)
			c.quiet()
		})
		t.Run("L29 L30 V1", func(t *testing.T) {
			c := pollOf(t, addr)
			c.query = "vsn=1.0.0"
			c.open()
			for ref, query := range map[string]string{"1": "vsn=1.0.0", "2": "vsn=2.0.0", "3": ""} {
				c.query = query
				wantPolled(t, c.must(http.MethodPost, "application/json", `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"`+ref+`"}`), 200)
				c.want(`{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"` + ref + `"}`)
			}
		})
		t.Run("L31 V1 lines", func(t *testing.T) {
			c := pollOf(t, addr)
			c.query = ""
			c.open()
			wantPolled(t, c.post(`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}`), 200)
			c.want(`{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`)
		})
		t.Run("L35 crash", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			c.ask(`["1","2",$T,"stop_error",{}]`, `["1","1",$T,"phx_error",{"reason":"channel_crash"}]`)
			c.ask(`["2","3",$T,"phx_join",{}]`, `["2","3",$T,"phx_reply",OK({"got":{}})]`)
		})
		t.Run("L36 order at a join", func(t *testing.T) {
			c := openPoll(t, addr)
			c.send(`["1","1",$T,"phx_join",{"after":true,"user":"u"}]`)
			c.want(`["1","1",$T,"phx_reply",OK({"got":{"after":true,"user":"u"}})]`,
				`["1",null,$T,"joined",{"status":"connected"}]`, `[null,null,$T,"user_entered",{"user":"u"}]`)
		})
		t.Run("L37 too many channels", func(t *testing.T) {
			c := openPoll(t, addr)
			var joinAll []string
			for i := range 100 {
				joinAll = append(joinAll, fmt.Sprintf(`["%d","%d","room:many-%d-%s","phx_join",{}]`, i, i, i, c.topic))
			}
			c.send(joinAll...)
			c.fetch(100)
			c.got = nil
			c.ask(`["x","x",$T,"phx_join",{}]`, `["x","x",$T,"phx_reply",ERR({"reason":"too many channels joined"})]`)
		})
		t.Run("L38 unmatched topic", func(t *testing.T) {
			openPoll(t, addr).ask(`["1","2",$T,"ok",{}]`, `[null,"2",$T,"phx_reply",UNM]`)
		})
		t.Run("L45 heartbeat", func(t *testing.T) { openPoll(t, addr).quiet() })
		t.Run("leave and join again", func(t *testing.T) {
			c := openPoll(t, addr).joined()
			connection := c.connection()
			c.send(`["1","2",$T,"phx_leave",{}]`)
			c.want(`["1","2",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
			(&client{t: t, topic: c.topic}).wantLeft(connection, "1", "left")
			c.joined()
		})
	})
}

// TestLongPollBounds is what a POST may not be.
func TestLongPollBounds(t *testing.T) {
	t.Parallel()
	overOneAndThree(t, func(t *testing.T, addr string) {
		for name, body := range map[string]string{
			"L21 over 8 MB":            strings.Repeat(`[null,"1","no","no",{"x":"`+strings.Repeat("x", 40_000)+`"}]`+"\n", 210),
			"L21 newlines":             strings.Repeat("\n", 7<<20),
			"L21 a line that is large": `[null,"1","phoenix","heartbeat",{"x":"` + strings.Repeat("x", 70_000) + `"}]`,
			"L21 many lines":           strings.Repeat(`[null,"1","phoenix","heartbeat",{}]`+"\n", 1001),
		} {
			t.Run(name, func(t *testing.T) {
				if strings.Contains(name, "8 MB") && addr != sharedPod(t, "lp").addr {
					t.Skip("a proxy need not bring the answer to a body that is refused unread")
				}
				c := openPoll(t, addr).joined()
				wantError(t, c.post(body), 400, 413)
				for { // replies to what came before the bound
					c.send(`[null,"last","phoenix","heartbeat",{}]`)
					c.fetch(1)
					if last := c.got[len(c.got)-1]; last == `[null,"last","phoenix","phx_reply",{"status":"ok","response":{}}]` {
						break
					}
					c.got = nil
				}
			})
		}
	})
}
