package rawjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"roost/internal/rawjson"
)

// deeper tells whether b may nest deeper than MaxDepth, where encoding/json goes on to 10,000.
func deeper(b []byte) bool {
	return bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > rawjson.MaxDepth
}

// FuzzValue compares with encoding/json, which differs by design in two things only: it nests deeper, and it reads half
// a surrogate as U+FFFD where Unquote, and so the keys of Object, refuse it.
func FuzzValue(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-2.5e+3,true,false,null,"\u00e9\ud83d\ude00\n"],"":{}}`, ` [ ] `, `"\ud800"`, `"a\/"`, `-0`, `1E400`, `{"a":1,"a":2}`, "\"\xff\"",
		strings.Repeat("[", 1024) + strings.Repeat("]", 1024), strings.Repeat("[", 1025) + strings.Repeat("]", 1025), `[1,]`, `{"a"}`, `"\x"`, `01`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want := json.Valid(b)
		if got := rawjson.Valid(b); got != want && !(want && deeper(b)) {
			t.Errorf("Valid(%q) = %v, want %v", b, got, want)
		}
		if end, err := rawjson.Value(b, 0); err == nil && (end <= 0 || end > len(b) || !json.Valid(b[:end])) {
			t.Errorf("Value(%q) ends at %d, which is no value", b, end)
		}
		if got, want := rawjson.Trim(b), bytes.Trim(b, " \t\r\n"); !bytes.Equal(got, want) {
			t.Errorf("Trim(%q) = %q, want %q", b, got, want)
		}
		checkString(t, b)
		checkArray(t, b)
		checkObject(t, b)
		checkAppend(t, string(b))
	})
}

// checkString compares Unquote.
func checkString(t *testing.T, b []byte) {
	end, err := rawjson.String(b, 0)
	if err != nil {
		return
	}
	raw := b[:end]
	got, err := rawjson.Unquote(raw)
	if !utf8.Valid(raw) {
		return // encoding/json replaces what is not UTF-8
	}
	var want string
	if jsonErr := json.Unmarshal(raw, &want); jsonErr != nil {
		t.Fatalf("String accepts %q: %v", raw, jsonErr)
	}
	if err != nil {
		if !strings.Contains(want, "\ufffd") {
			t.Errorf("Unquote(%q) = %v, want %q", raw, err, want)
		}
	} else if string(got) != want {
		t.Errorf("Unquote(%q) = %q, want %q", raw, got, want)
	}
}

func checkArray(t *testing.T, b []byte) {
	var got []string
	err := rawjson.Array(b, func(value []byte) error { got = append(got, string(value)); return nil })
	var want []json.RawMessage
	isArray := json.Unmarshal(b, &want) == nil && rawjson.Trim(b)[0] == '['
	if (err == nil) != isArray && !(isArray && deeper(b)) {
		t.Errorf("Array(%q) = %v, encoding/json says %v", b, err, isArray)
	}
	if err != nil {
		return
	}
	if len(got) != len(want) {
		t.Fatalf("Array(%q) gave %q, want %q", b, got, want)
	}
	for i := range got {
		if got[i] != string(want[i]) {
			t.Errorf("Array(%q) gave %q, want %q", b, got[i], want[i])
		}
	}
}

func checkObject(t *testing.T, b []byte) {
	got := map[string]string{}
	err := rawjson.Object(b, func(key, value []byte) error { got[string(key)] = string(value); return nil })
	var want map[string]json.RawMessage
	isObject := json.Unmarshal(b, &want) == nil && rawjson.Trim(b)[0] == '{'
	if err != nil {
		if isObject && !deeper(b) && !bytes.Contains(bytes.ToLower(b), []byte(`\ud`)) {
			t.Errorf("Object(%q) = %v, want %q", b, err, want)
		}
		return
	}
	if !isObject {
		t.Fatalf("Object(%q) gave %q, encoding/json refuses it", b, got)
	}
	if !utf8.Valid(b) {
		return
	}
	if len(got) != len(want) {
		t.Fatalf("Object(%q) gave %q, want %q", b, got, want)
	}
	for key, value := range want {
		if got[key] != string(value) {
			t.Errorf("Object(%q) gave %q for %q, want %q", b, got[key], key, value)
		}
	}
}

// checkAppend: what AppendString writes, encoding/json and Unquote read.
func checkAppend(t *testing.T, s string) {
	raw := rawjson.AppendString(nil, s)
	if got, err := rawjson.Unquote(raw); err != nil || string(got) != s {
		t.Errorf("Unquote(%q) = %q, %v, want %q", raw, got, err, s)
	}
	var got string
	if err := json.Unmarshal(raw, &got); err != nil || utf8.ValidString(s) && got != s {
		t.Errorf("encoding/json reads %q in %q, %v, want %q", got, raw, err, s)
	}
}
