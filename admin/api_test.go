package admin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roost/admin"
	"roost/hub"
)

func newHandler(op *installation, token string) http.Handler {
	return admin.Handler(admin.Config{API: &admin.APIConfig{Operator: op, Token: token, MaxMessage: 1000}})
}

// ask makes a request from this machine.
func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:4001"+target, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	r.Header.Set("Content-Type", "application/json")
	for n := 0; n+1 < len(header); n += 2 {
		if header[n] == "Host" {
			r.Host = header[n+1]
		} else if header[n] == "From" {
			r.RemoteAddr = header[n+1]
		} else {
			r.Header.Set(header[n], header[n+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestSent: what is published is what docs/protocol.md says, byte for byte.
func TestSent(t *testing.T) {
	for _, c := range []struct{ path, body, addr, want string }{
		{"broadcast", `{"topic":"a b","event":"e","payload":{"n": 1.50,"s":"<ä>"}}`, "topic:a b", `{"event":"e","payload":{"n": 1.50,"s":"<ä>"}}`},
		{"broadcast", `{"topic":"t","event":"e","except":"a.1"}`, "topic:t", `{"event":"e","except":"a.1"}`},
		{"broadcast", `{"topic":"t","event":"e","payload_base64":"AAE="}`, "topic:t", `{"event":"e","payload_base64":"AAE="}`},
		{"broadcast", `{"topic":"t","event":"e","except":null,"payload":null,"payload_base64":null}`, "topic:t", `{"event":"e"}`},
		{"broadcast", `{"topic":"` + strings.Repeat("x", 255) + `","event":"e","payload_base64":""}`, "topic:" + strings.Repeat("x", 255), `{"event":"e","payload_base64":""}`},
		{"broadcast", `{"topic":"` + strings.Repeat("x", 256) + `","event":"e"}`, "topic:" + strings.Repeat("x", 256), `{"event":"e"}`},
		{"push", `{"id":"user:1","topic":"t","event":"e","payload":{}}`, "id:user:1", `{"event":"e","topic":"t","payload":{}}`},
		{"disconnect", `{"id":"user:1"}`, "id:user:1", `{"event":"disconnect"}`},
		{"disconnect", `{"connection":"a.1"}`, "conn:a.1", `{"event":"disconnect"}`},
		{"kick", `{"connection":"a.1","topic":"t"}`, "conn:a.1", `{"event":"phx_close","topic":"t"}`},
		{"kick", `{"id":"u","topic":"t","event":"phx_error"}`, "id:u", `{"event":"phx_error","topic":"t"}`},
	} {
		op := &installation{}
		w := ask(newHandler(op, ""), "POST", "/api/v1/"+c.path, c.body)
		if w.Code != http.StatusOK || len(op.sent) != 1 || string(op.sent[0].Addr) != c.addr || string(op.sent[0].Body) != c.want {
			t.Errorf("%s: got %d, %s to %v, want %s to %s", c.body, w.Code, w.Body, op.sent, c.want, c.addr)
		}
	}
	op := &installation{}
	ask(newHandler(op, ""), "POST", "/api/v1/rebalance", `{"share":0.25,"within":"30s"}`)
	if len(op.sent) != 2 || op.sent[0].Addr != hub.ControlAddress("a") || !strings.Contains(string(op.sent[1].Body), `{"share":0.25,"within_ms":30000}`) {
		t.Errorf("rebalance: got %s, want the two living pods told", op.sent)
	}
}

// TestWhoMayAsk: the token, or this machine where there is none.
func TestWhoMayAsk(t *testing.T) {
	open, closed := newHandler(&installation{}, ""), newHandler(&installation{}, "a-token-of-operators")
	for name, c := range map[string]struct {
		h      http.Handler
		header []string
		want   int
	}{
		"this machine":            {open, nil, 200},
		"IPv6":                    {open, []string{"From", "[::1]:1", "Host", "[::1]:4001"}, 200},
		"another machine":         {open, []string{"From", "192.0.2.7:1"}, 403},
		"a proxy here":            {open, []string{"X-Forwarded-For", "192.0.2.7"}, 403},
		"another proxy here":      {open, []string{"Forwarded", "for=192.0.2.7"}, 403},
		"a proxy that hides whom": {open, []string{"X-Forwarded-Proto", "https"}, 403},
		"a proxy by its name":     {open, []string{"Via", "1.1 cache"}, 403},
		"nginx":                   {open, []string{"X-Real-IP", "192.0.2.7"}, 403},
		"a sidecar":               {open, []string{"X-Envoy-Expected-Rq-Timeout-Ms", "15000"}, 403},
		"a name that points here": {open, []string{"Host", "evil.example:4001"}, 403},
		"a name that looks so":    {open, []string{"Host", "localhost.evil.example"}, 403},
		"a page":                  {open, []string{"Origin", "https://evil.example"}, 403},
		"a page of nowhere":       {open, []string{"Origin", "null"}, 403},
		"a page of here":          {open, []string{"Origin", "http://localhost:4001"}, 200},
		"no token":                {closed, nil, 401},
		"another token":           {closed, []string{"Authorization", "Bearer a-token-of-others"}, 401},
		"no bearer":               {closed, []string{"Authorization", "a-token-of-operators"}, 401},
		"Basic":                   {closed, []string{"Authorization", "Basic a-token-of-operators"}, 401},
		"a longer token":          {closed, []string{"Authorization", "Bearer a-token-of-operators2"}, 401},
		"the token":               {closed, []string{"Authorization", "Bearer a-token-of-operators"}, 200},
		"from anywhere":           {closed, []string{"Authorization", "Bearer a-token-of-operators", "From", "192.0.2.7:1", "Host", "roost.internal"}, 200},
	} {
		w := ask(c.h, "GET", "/api/v1/stats", "", c.header...)
		if w.Code != c.want || c.want == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, c.want)
		}
		if strings.Contains(w.Body.String(), "a-token-of") {
			t.Errorf("%s: the answer has a token in it: %s", name, w.Body)
		}
	}
	if w := ask(open, "GET", "/api/v2/x", "", "From", "192.0.2.7:1"); w.Code != 403 {
		t.Errorf("a path that is not there, from elsewhere: got %d, want 403", w.Code)
	}
}

func TestBadRequests(t *testing.T) {
	long := strings.Repeat("x", 256)
	for name, c := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		code                 string
	}{
		"no JSON":          {"POST", "broadcast", `{"topic":`, nil, 400, "invalid_request"},
		"behind it":        {"POST", "broadcast", `{"topic":"t","event":"e"} x`, nil, 400, "invalid_request"},
		"a form":           {"POST", "broadcast", `{"topic":"t","event":"e"}`, []string{"Content-Type", "text/plain"}, 415, "not_json"},
		"no type":          {"POST", "broadcast", `{"topic":"t","event":"e"}`, []string{"Content-Type", ""}, 415, "not_json"},
		"a large message":  {"POST", "broadcast", `{"topic":"t","event":"` + strings.Repeat("x", 1001) + `"}`, nil, 413, "too_large"},
		"a large body":     {"POST", "broadcast", `{"topic":"` + strings.Repeat("x", 9<<20) + `"}`, nil, 413, "too_large"},
		"a large batch":    {"POST", "broadcast", `{"messages":[` + strings.Repeat(`{},`, 1000) + `{}]}`, nil, 413, "too_large"},
		"one of a batch":   {"POST", "broadcast", `{"messages":[{"topic":"t","event":"e"},{"topic":"t"}]}`, nil, 422, "invalid_message"},
		"a long key":       {"POST", "broadcast", `{"topic":"t","event":"e"}`, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "invalid_request"},
		"an unknown query": {"GET", "topics?x=1", "", nil, 400, "invalid_request"},
		"a limit":          {"GET", "topics?limit=0", "", nil, 400, "invalid_request"},
		"a pattern":        {"GET", "topics?match=*a", "", nil, 400, "invalid_request"},
		"a cursor":         {"GET", "topics/t/members?cursor=bad", "", nil, 400, "invalid_request"},
		"a connection":     {"GET", "connections/x.9", "", nil, 404, "not_found"},
		"a path":           {"GET", "topics/a/b/c", "", nil, 404, "not_found"},
		"a method":         {"DELETE", "topics/a", "", nil, 405, "method_not_allowed"},
		"not UTF-8":        {"POST", "broadcast", "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{\"a\":\"\xff\"}}", nil, 400, "invalid_request"},
		"a long topic":     {"POST", "broadcast", `{"topic":"` + long + `","event":"e","payload_base64":""}`, nil, 422, "invalid_message"},
		"a long event":     {"POST", "push", `{"id":"u","topic":"t","event":"` + long + `","payload_base64":""}`, nil, 422, "invalid_message"},
		"an empty except":  {"POST", "broadcast", `{"topic":"t","event":"e","except":""}`, nil, 422, "invalid_message"},
		"an empty id":      {"POST", "disconnect", `{"id":"","connection":"a.1"}`, nil, 422, "invalid_message"},
		"an empty pod":     {"POST", "rebalance", `{"share":1,"pod":""}`, nil, 422, "invalid_message"},
		"no pod":           {"POST", "rebalance", `{"share":1,"pod":null}`, nil, 422, "invalid_message"},
		"an empty time":    {"POST", "rebalance", `{"share":1,"within":""}`, nil, 422, "invalid_message"},
		"a share":          {"POST", "rebalance", `{"share":0}`, nil, 422, "invalid_message"},
		"a pod":            {"POST", "rebalance", `{"share":1,"pod":"zz"}`, nil, 404, "not_found"},
		"a dead pod":       {"POST", "rebalance", `{"share":1,"pod":"c"}`, nil, 404, "not_found"},
		"a tap of nothing": {"GET", "tap", "", nil, 400, "invalid_request"},
		"a sample":         {"GET", "tap?topic=a&sample=2", "", nil, 400, "invalid_request"},
		"a code":           {"GET", "errors/no", "", nil, 404, "not_found"},
	} {
		op := &installation{}
		w := ask(newHandler(op, ""), c.method, "/api/v1/"+c.target, c.body, c.header...)
		var p admin.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.status || p.Code != c.code || p.Status != c.status ||
			w.Header().Get("Content-Type") != "application/problem+json" || p.Type != "/api/v1/errors/"+c.code {
			t.Errorf("%s: got %d %s, want %d %s", name, w.Code, w.Body, c.status, c.code)
		}
		if len(op.sent) > 0 {
			t.Errorf("%s: something was sent", name)
		}
	}
}

// TestIdempotency: a request is carried out once, and its answer given to all who repeat it, unless nothing was done.
func TestIdempotency(t *testing.T) {
	op := &installation{}
	h := newHandler(op, "")
	body := `{"topic":"t","event":"e"}`
	op.down = errors.New("away")
	if w := ask(h, "POST", "/api/v1/broadcast", body, "Idempotency-Key", "k"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Fatalf("without Redis: got %d %s, want 503", w.Code, w.Body)
	}
	op.down = nil
	first := ask(h, "POST", "/api/v1/broadcast", body, "Idempotency-Key", "k")
	again := ask(h, "POST", "/api/v1/broadcast", body, "Idempotency-Key", "k")
	if first.Code != 200 || again.Code != 200 || strings.TrimSpace(first.Body.String()) != strings.TrimSpace(again.Body.String()) || len(op.sent) != 1 {
		t.Errorf("got %d %s and then %d %s, %d sent, want the same, and one sent", first.Code, first.Body, again.Code, again.Body, len(op.sent))
	}
	if first.Header().Get("Idempotency-Replayed") != "" || again.Header().Get("Idempotency-Replayed") != "true" {
		t.Error("the repetition is not marked")
	}
	for _, other := range [][2]string{{"broadcast", `{"topic":"t","event":"f"}`}, {"push", body}} {
		if w := ask(h, "POST", "/api/v1/"+other[0], other[1], "Idempotency-Key", "k"); w.Code != 422 {
			t.Errorf("another request: got %d %s, want 422", w.Code, w.Body)
		}
	}
	op.sent, op.part = nil, true
	batch := `{"messages":[{"topic":"t","event":"1"},{"topic":"t","event":"2"}]}`
	half := ask(h, "POST", "/api/v1/broadcast", batch, "Idempotency-Key", "half")
	op.part = false
	again = ask(h, "POST", "/api/v1/broadcast", batch, "Idempotency-Key", "half")
	if half.Code != 503 || again.Code != 503 || half.Body.String() != again.Body.String() || len(op.sent) != 1 ||
		!strings.Contains(half.Body.String(), `"results":[{"status":"ok","receivers":0},{"status":"unavailable","receivers":null}]`) {
		t.Errorf("a part of a batch: got %d %s and then %d %s, %d sent, want the same, and the first not again", half.Code, half.Body, again.Code, again.Body, len(op.sent))
	}
	op.remembered["p"] = op.remembered["k"][:strings.IndexByte(op.remembered["k"], ' ')+1]
	if w := ask(h, "POST", "/api/v1/broadcast", body, "Idempotency-Key", "p"); w.Code != 409 {
		t.Errorf("while the first is under way: got %d %s, want 409", w.Code, w.Body)
	}
}

// TestAnswerIsKeptLater: an answer that cannot be kept at once is kept when Redis is back, and the request is not carried out again.
func TestAnswerIsKeptLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op := &installation{forgets: 3}
		h := newHandler(op, "")
		body := `{"topic":"t","event":"e"}`
		if w := ask(h, "POST", "/api/v1/broadcast", body, "Idempotency-Key", "k"); w.Code != 200 {
			t.Errorf("got %d %s, want 200: it was sent", w.Code, w.Body)
		}
		if w := ask(h, "POST", "/api/v1/broadcast", body, "Idempotency-Key", "k"); w.Code != 409 {
			t.Errorf("meanwhile: got %d %s, want 409", w.Code, w.Body)
		}
		time.Sleep(30 * time.Second)
		w := ask(h, "POST", "/api/v1/broadcast", body, "Idempotency-Key", "k")
		if w.Code != 200 || w.Header().Get("Idempotency-Replayed") != "true" || len(op.sent) != 1 {
			t.Errorf("later: got %d %s, %d sent, want the first answer, and one sent", w.Code, w.Body, len(op.sent))
		}
	})
}

// TestWhoIsRebalanced: pods that stop are left out, nobody is told while one sheds, and whoever did not listen closes nothing.
func TestWhoIsRebalanced(t *testing.T) {
	stops := hub.PodState{ID: "stops", Left: time.Second, Reports: hub.PodReport{Connections: 10, Draining: true, Shedding: true}}
	sheds := hub.PodState{ID: "sheds", Left: time.Second, Reports: hub.PodReport{Connections: 10, Shedding: true}}
	dead := hub.PodState{ID: "dead", Left: -1, Reports: sheds.Reports}
	for name, c := range map[string]struct {
		op     *installation
		body   string
		status int
		want   string
		sent   int
	}{
		// b does not say how many it has, and a has no receiver: the first of these messages never has
		"all":                {&installation{more: []hub.PodState{dead}}, `{"share":0.5}`, 202, `{"pods":[{"id":"a","closing":0},{"id":"b","closing":0}]}`, 2},
		"one stops":          {&installation{more: []hub.PodState{stops}}, `{"share":0.5}`, 202, `{"pods":[{"id":"a","closing":0},{"id":"b","closing":0}]}`, 2},
		"only one that does": {&installation{more: []hub.PodState{stops}}, `{"share":0.5,"pod":"stops"}`, 409, `"code":"rebalance_under_way"`, 0},
		"one sheds":          {&installation{more: []hub.PodState{sheds}}, `{"share":0.5}`, 409, `"code":"rebalance_under_way"`, 0},
		"that one":           {&installation{more: []hub.PodState{sheds}}, `{"share":0.5,"pod":"sheds"}`, 409, `"code":"rebalance_under_way"`, 0},
		"another one":        {&installation{more: []hub.PodState{sheds}}, `{"share":0.5,"pod":"b"}`, 202, `{"pods":[{"id":"b","closing":0}]}`, 1},
		"in part": {&installation{part: true}, `{"share":0.5}`, 503,
			`"results":[{"pod":"a","status":"ok","receivers":0},{"pod":"b","status":"unavailable","receivers":null}]`, 1},
		"a cluster": {&installation{cluster: true}, `{"share":0.5,"pod":"a"}`, 202, `{"pods":[{"id":"a","closing":5}]}`, 1},
	} {
		w := ask(newHandler(c.op, ""), "POST", "/api/v1/rebalance", c.body)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || len(c.op.sent) != c.sent {
			t.Errorf("%s: got %d %s and %d told, want %d, %s and %d", name, w.Code, w.Body, len(c.op.sent), c.status, c.want, c.sent)
		}
	}
}

// TestTap: events come as they are published; what is too much is counted, and a fifth listener is refused.
func TestTap(t *testing.T) {
	op := &installation{tapped: make(chan func(string, []byte), 10)}
	server := httptest.NewServer(newHandler(op, ""))
	t.Cleanup(server.Close) // after the listeners
	listen := func() (*http.Response, func(string, []byte)) {
		response, err := http.Get(server.URL + "/api/v1/tap?topic=rooms:*")
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("got %v, %v", response, err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response, <-op.tapped
	}
	response, publish := listen()
	publish("rooms:a", []byte(`{"event":"e","payload":{}}`))
	publish("rooms:b", []byte("no \n JSON"))
	publish("rooms:c", bytes.Repeat([]byte("x"), 100_000))
	var got strings.Builder
	for part := make([]byte, 4096); !strings.Contains(got.String(), `"cut":true`); {
		n, err := response.Body.Read(part)
		if got.Write(part[:n]); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`data: {"topic":"rooms:a","message":{"event":"e","payload":{}}}`, `data: {"topic":"rooms:b","message":"no \n JSON"}`} {
		if !strings.Contains(got.String(), "event: message\n"+want+"\n\n") {
			t.Errorf("got %.400s, want %s", got.String(), want)
		}
	}
	for range 20_000 { // nobody waits for a slow listener
		publish("rooms:a", []byte(`{"event":"`+strings.Repeat("e", 1000)+`"}`))
	}
	for part := make([]byte, 1<<16); !strings.Contains(got.String(), "event: dropped\ndata: {\"count\":"); {
		n, err := response.Body.Read(part)
		if got.Write(part[:n]); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		listen()
	}
	if w := ask(server.Config.Handler, "GET", "/api/v1/tap?topic=a", ""); w.Code != http.StatusTooManyRequests {
		t.Errorf("a fifth: got %d %s, want 429", w.Code, w.Body)
	}
}

// TestTapEnds: who listens is told when nothing more will come.
func TestTapEnds(t *testing.T) {
	op := &installation{broken: make(chan struct{})}
	server := httptest.NewServer(newHandler(op, ""))
	t.Cleanup(server.Close)
	response, err := http.Get(server.URL + "/api/v1/tap?topic=a")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	close(op.broken)
	if all, err := io.ReadAll(response.Body); err != nil || !strings.HasSuffix(string(all), "event: end\ndata: {}\n\n") {
		t.Errorf("got %q, error %v, want the event end", all, err)
	}
}

// TestErrorsDoc holds docs/errors.md against the codes.
func TestErrorsDoc(t *testing.T) {
	got, err := os.ReadFile("../docs/errors.md")
	want := admin.ErrorsPage()
	if err != nil || string(got) != want {
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile("../docs/errors.md", []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("docs/errors.md is not what the codes say; run UPDATE=1 go test ./admin -run TestErrorsDoc")
	}
}
