package admin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"roost/admin"
)

// description is the OpenAPI file.
type description struct {
	raw      any
	compiler *jsonschema.Compiler
	Paths    map[string]map[string]struct {
		RequestBody *struct {
			Content map[string]struct{ Schema ref }
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema ref }
		}
	}
}

type ref struct {
	Ref string `json:"$ref"`
}

func describe(t testing.TB) *description {
	t.Helper()
	body, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	d := &description{compiler: jsonschema.NewCompiler()}
	if err := json.Unmarshal(body, d); err != nil {
		t.Fatal(err)
	}
	if d.raw, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if err := d.compiler.AddResource("openapi.json", d.raw); err != nil {
		t.Fatal(err)
	}
	return d
}

// check returns what is wrong with a text by a schema of the file.
func (d *description) check(t rapid.TB, schema ref, text string) error {
	s, err := d.compiler.Compile("openapi.json" + schema.Ref)
	if err != nil {
		t.Fatalf("%s: %v", schema.Ref, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// wantDescribed fails unless an answer is as the file says.
func (d *description) wantDescribed(t rapid.TB, path, method string, w *httptest.ResponseRecorder) {
	responses := d.Paths[path][method].Responses
	response, found := responses[fmt.Sprint(w.Code)]
	if !found {
		response = responses["default"]
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	content, found := response.Content[kind]
	if !found {
		t.Fatalf("%s %s: got status %d and %q, which is not described", method, path, w.Code, kind)
	}
	if content.Schema.Ref == "" {
		return
	}
	if err := d.check(t, content.Schema, w.Body.String()); err != nil {
		t.Fatalf("%s %s: got %s: %v", method, path, w.Body, err)
	}
}

// TestRoutesAreDescribed: what is served is described, and the reverse.
func TestRoutesAreDescribed(t *testing.T) {
	d := describe(t)
	h := newHandler(&installation{}, "")
	for path, methods := range d.Paths {
		target := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "a.1")
		if strings.Contains(path, "tap") {
			continue // it does not end; TestTap asks
		}
		for _, method := range []string{"get", "post", "delete"} {
			_, described := methods[method]
			w := ask(h, strings.ToUpper(method), target, `{}`)
			if (w.Code != http.StatusMethodNotAllowed) != described {
				t.Errorf("%s %s: got %d, described: %v", method, path, w.Code, described)
			}
			if described {
				d.wantDescribed(t, path, method, w)
			} else if w.Header().Get("Allow") == "" {
				t.Errorf("%s %s: got 405 without Allow", method, path)
			}
		}
	}
	routes := admin.Routes()
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		if _, found := d.Paths[path][strings.ToLower(method)]; !found {
			t.Errorf("%s is not described", route)
		}
	}
}

// drawn is a JSON value for a field: mostly what it should be.
func drawn(t *rapid.T, field string) string {
	good := map[string][]string{
		"payload": {`{}`, `{"a":1.50}`}, "payload_base64": {`"AAE="`, `""`}, "share": {`0.5`, `1`}, "within": {`"30s"`}, "event": {`"phx_error"`, `"phx_close"`},
	}[field]
	if good == nil {
		good = []string{`"a"`, `"b\u00e4"`}
	}
	bad := []string{`1`, `null`, `[]`, `""`, `{}`, `"x"`, `-1`, `2`}
	if rapid.IntRange(0, 5).Draw(t, "bad") == 0 {
		return rapid.SampledFrom(bad).Draw(t, "value")
	}
	return rapid.SampledFrom(good).Draw(t, "value")
}

// object draws an object of fields, some of which may be missing.
func object(t *rapid.T, names ...string) string {
	var members []string
	for _, name := range names {
		if rapid.IntRange(0, 3).Draw(t, name) > 0 {
			members = append(members, fmt.Sprintf("%q:%s", name, drawn(t, name)))
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "more") == 0 {
		members = append(members, `"more":1`)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestGeneratedRequests: what the file allows is done, all else is refused, and every answer is as the file says.
func TestGeneratedRequests(t *testing.T) {
	d := describe(t)
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom([]string{"broadcast", "batch", "push", "disconnect", "kick", "rebalance"}).Draw(t, "path")
		var body string
		switch path {
		case "broadcast":
			body = object(t, "topic", "event", "payload", "payload_base64", "except")
		case "batch":
			path = "broadcast"
			var all []string
			for range rapid.IntRange(0, 3).Draw(t, "messages") {
				all = append(all, object(t, "topic", "event", "payload"))
			}
			body = `{"messages":[` + strings.Join(all, ",") + `]}`
		case "push":
			body = object(t, "topic", "event", "payload", "payload_base64", "id", "connection")
		case "disconnect":
			body = object(t, "id", "connection")
		case "kick":
			body = object(t, "topic", "id", "connection", "event")
		case "rebalance":
			body = object(t, "share", "within")
		}
		path = "/api/v1/" + path
		op := &installation{}
		w := ask(newHandler(op, ""), "POST", path, body)
		d.wantDescribed(t, path, "post", w)
		err := d.check(t, d.Paths[path]["post"].RequestBody.Content["application/json"].Schema, body)
		badBase64 := strings.Contains(body, `"payload_base64":"x"`) // no schema knows
		badTime := strings.Contains(body, `"within":"x"`)
		if done := w.Code < 300; done != (err == nil && !badBase64 && !badTime) {
			t.Fatalf("%s %s: got %d %s, by the file: %v", path, body, w.Code, w.Body, err)
		}
		if w.Code >= 300 && len(op.sent) > 0 {
			t.Fatalf("%s: refused, but something was sent", body)
		}
	})
}
