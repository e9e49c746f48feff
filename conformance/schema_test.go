package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas are the parts of docs/schemas/webhook.json, by their names. Every call of every test is checked against them.
type schemas map[string]*jsonschema.Schema

func compileSchemas() (schemas, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	all := schemas{}
	for _, name := range []string{"request", "connect_answer", "join_answer", "push_answer"} {
		s, err := c.Compile("../docs/schemas/webhook.json#/$defs/" + name)
		if err != nil {
			return nil, err
		}
		all[name] = s
	}
	return all, nil
}

func (s schemas) check(name string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = s[name].Validate(value)
	}
	if err != nil {
		return fmt.Errorf("%w in %s %.500q", err, name, body)
	}
	return nil
}

// request checks what a gateway has sent.
func (s schemas) request(body []byte) error { return s.check("request", body) }

// answer checks what the backend has answered, unless a test asked it to answer badly.
func (s schemas) answer(c call, w *recorder) error {
	var want struct{ Bad string }
	_ = json.Unmarshal(c.Data.Payload, &want) // most payloads say nothing
	_, name, _ := strings.Cut(c.Type, ".")
	switch {
	case want.Bad != "", c.Data.Params["bad"] != nil, strings.HasPrefix(c.Data.Event, "bad_"):
		return nil
	case w.code != http.StatusOK, w.body.Len() == 0, s[name+"_answer"] == nil:
		return nil
	}
	return s.check(name+"_answer", w.body.Bytes())
}

// recorder keeps what is written.
type recorder struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.body.Len() < 1<<20 {
		r.body.Write(b)
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
