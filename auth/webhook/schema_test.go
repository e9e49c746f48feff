package webhook_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"roost/auth"
	"roost/auth/webhook"
)

const schemaFile = "../../docs/schemas/webhook.json"

// schema returns a part of docs/schemas/webhook.json.
func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(schemaFile + "#/$defs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid tells whether text is as the schema says. What is not JSON is not.
func valid(s *jsonschema.Schema, text string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// wantRequest checks a request against the schema, and that the schema names all its fields.
func wantRequest(t testing.TB, text string) {
	t.Helper()
	if err := valid(schema(t, "request"), text); err != nil {
		t.Errorf("request %s: %v", text, err)
	}
	var r struct {
		Type string
		Data map[string]json.RawMessage
	}
	var doc struct {
		Defs map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	file, err := os.ReadFile(schemaFile)
	if err != nil || json.Unmarshal(file, &doc) != nil || json.Unmarshal([]byte(text), &r) != nil {
		t.Fatalf("read %s and %s: %v", schemaFile, text, err)
	}
	_, kind, _ := strings.Cut(r.Type, ".")
	for name := range r.Data {
		_, common := doc.Defs["connection"].Properties[name]
		_, own := doc.Defs[kind].Properties[name]
		if !common && !own {
			t.Errorf("%s: the schema has no %s", r.Type, name)
		}
	}
}

// notSchema are answers that Roost refuses for what a schema cannot say: two values, a number written so, or bytes that are
// no text.
var notSchema = []string{`{"status":"ok"} {}`, `{"status":"error","code":4e2}`, "{\"hunter2\":\"\xff\"}"}

// wantSame checks that the schema takes an answer if Roost does.
func wantSame(t testing.TB, name, answer string, taken bool) {
	t.Helper()
	if strings.TrimSpace(answer) == "" || slices.Contains(notSchema, answer) {
		return
	}
	if err := valid(schema(t, name), answer); (err == nil) != taken {
		t.Errorf("%s %.200s: the schema says %v, but Roost takes it: %v", name, answer, err, taken)
	}
}

func TestSchemaOfCache(t *testing.T) {
	for cache, taken := range map[string]bool{
		`"30s"`: true, `"1h30m"`: true, `"1.5m"`: true, `"0"`: true, `null`: true, `30`: false, `"30"`: false, `"soon"`: false, `"-1s"`: false, `""`: false,
	} {
		body := `{"status":"ok","cache":` + cache + `}`
		client, s := scripted(t, webhook.Config{})
		s.set(200, body, nil)
		_, err := client.Join(t.Context(), joinAs("a", "user:1", "t"))
		if (err == nil) != taken {
			t.Errorf("%s: got %v, want it taken: %v", body, err, taken)
		}
		wantSame(t, "join_answer", body, taken)
	}
}

func TestSchemaOfPresence(t *testing.T) {
	for presence, taken := range map[string]bool{
		`null`: true, `{"key":"k"}`: true, `{"key":7}`: true, `{"key":"k","meta":null}`: true, `{"key":"k","meta":{"a":1},"new":1}`: true,
		`{}`: false, `{"key":null}`: false, `{"key":true}`: false, `{"key":{}}`: false, `{"meta":{}}`: false, `{"key":"k","meta":[]}`: false,
		`{"key":"k","meta":"m"}`: false, `"k"`: false, `[]`: false, `false`: false,
	} {
		body := `{"status":"ok","presence":` + presence + `}`
		_, err := answering(t, 200, body).Join(t.Context(), joinOf("t"))
		if (err == nil) != taken {
			t.Errorf("%s: got %v, want it taken: %v", body, err, taken)
		}
		wantSame(t, "join_answer", body, taken)
		wantSame(t, "push_answer", body, taken)
	}
}

// What the schema calls a refusal has its response told; of another body only the status counts.
func TestSchemaOfRefusal(t *testing.T) {
	for body, told := range map[string]bool{
		`{"response":{"reason":"log in"}}`: true, `{"response":0,"response_base64":null}`: true, `{"response_base64":"AP8=","more":1}`: true,
		`{"response":1,"response_base64":"AP8="}`: false, `{"response_base64":"?"}`: false, `{"response_base64":{}}`: false,
		`[]`: false, `"log in"`: false,
	} {
		_, err := answering(t, 403, body).Join(t.Context(), joinOf("t"))
		var refusal *auth.Refusal
		if !errors.As(err, &refusal) || (refusal.Response != nil) != told {
			t.Errorf("%s: got %v, want a refusal with a response of its own: %v", body, err, told)
		}
		wantSame(t, "refusal", body, told)
	}
}
