package rawjson_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"roost/internal/rawjson"
)

func TestValid(t *testing.T) {
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `-0`, `12`, `-1.5e+10`, `1E400`, `0.0`, `0e0`, `""`, `"a"`, `"\"\\\/\b\f\n\r\t\u00aF"`, "\"\x7f\u2028\"",
		`{}`, `{ }`, `[]`, "[\t]", `[[],{},""]`, `{"a":{"b":[1,2]},"":null}`, " \t\r\n[ 1 , 2 ]\n", `[{"a":1},[1,2],{"b":[]}]`, `{"a":1,"a":2}`, `"\ud800"`, "\"\xff\"",
	} {
		if !rawjson.Valid([]byte(text)) {
			t.Errorf("Valid(%q) = false, want true", text)
		}
	}
	for _, text := range []string{
		``, ` `, `nul`, `nulll`, `True`, `tru`, `fals`, `n`, `-`, `+1`, `01`, `-01`, `1.`, `.5`, `1e`, `1e+`, `0x1`, `NaN`, `1 2`,
		`"`, `"a`, `"\"`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x00\"", `'a'`,
		`[`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1}`, `]`, `[]]`,
		`{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{a:1}`, `{1:1}`, `{"a" 1}`, `{"a":1]`, `{"a":}`, `{}{}`, "\u00a01", "\ufeff1",
	} {
		if rawjson.Valid([]byte(text)) {
			t.Errorf("Valid(%q) = true, want false", text)
		}
	}
}

func TestValueEnd(t *testing.T) {
	for text, want := range map[string]string{
		`1,2`: `1`, `"a"b`: `"a"`, `{"a":[1, 2]} x`: `{"a":[1, 2]}`, `[]]`: `[]`, `null,`: `null`, `-1.5e3]`: `-1.5e3`, `01`: `0`, `truex`: `true`,
	} {
		end, err := rawjson.Value([]byte("##"+text), 2)
		if err != nil || text[:end-2] != want {
			t.Errorf("Value(%q) ends at %d, %v, want %q", text, end-2, err, want)
		}
	}
}

func TestDepth(t *testing.T) {
	nested := func(open, inner, shut string, depth int) []byte {
		return []byte(strings.Repeat(open, depth) + inner + strings.Repeat(shut, depth))
	}
	for _, c := range []struct{ open, inner, shut string }{{"[", "", "]"}, {`{"a":`, "1", "}"}, {`[{"a":`, "{}", "}]"}} {
		levels := strings.Count(c.open, "[") + strings.Count(c.open, "{")
		depth := (rawjson.MaxDepth - strings.Count(c.inner, "{")) / levels
		if !rawjson.Valid(nested(c.open, c.inner, c.shut, depth)) {
			t.Errorf("%d times %s is refused", depth, c.open)
		}
		if rawjson.Valid(nested(c.open, c.inner, c.shut, depth+1)) {
			t.Errorf("%d times %s is accepted", depth+1, c.open)
		}
	}
	// The kind of every level is remembered, beyond one word of bits and after levels were closed.
	mixed := strings.Repeat(`{"a":[[],`, 100) + "1" + strings.Repeat("]}", 100)
	if !rawjson.Valid([]byte(mixed)) {
		t.Error("mixed levels are refused")
	}
	for i := 900; i < len(mixed); i++ {
		wrong := []byte(mixed)
		if wrong[i] == ']' {
			wrong[i] = '}'
		} else if wrong[i] == '}' {
			wrong[i] = ']'
		} else {
			continue
		}
		if rawjson.Valid(wrong) {
			t.Fatalf("a level closed wrongly at %d is accepted", i)
		}
	}
}

func TestUnquote(t *testing.T) {
	for raw, want := range map[string]string{
		`""`: "", `"abc"`: "abc", `"ü😀"`: "ü😀", `"a\"b\\c\/d\b\f\n\r\t"`: "a\"b\\c/d\b\f\n\r\t",
		`"\u0041\u00fc\u20AC"`: "Aü€", `"\ud83d\ude00!"`: "😀!", `"\uD83D\uDE00"`: "😀", `"\u0000"`: "\x00", `"\ufffd"`: "\ufffd",
	} {
		got, err := rawjson.Unquote([]byte(raw))
		if err != nil || string(got) != want {
			t.Errorf("Unquote(%s) = %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{
		``, `"`, `a`, `null`, `1`, `{}`, `"a`, `a"`, `"\"`, `"\u12"`, `"\u123x"`,
		`"\ud83d"`, `"\ud83dx"`, `"\ud83d\n12345"`, `"\ud83d\u0041"`, `"\ude00"`, `"\ude00\ud83d"`, `"\ud83d\ud83d"`, `"\ud83d\u12"`,
	} {
		if got, err := rawjson.Unquote([]byte(raw)); !errors.Is(err, rawjson.ErrSyntax) {
			t.Errorf("Unquote(%s) = %q, %v, want ErrSyntax", raw, got, err)
		}
	}
}

func TestAppendString(t *testing.T) {
	var controls, want strings.Builder
	for c := range 0x20 {
		controls.WriteByte(byte(c))
		if short := strings.IndexByte("\b\f\n\r\t", byte(c)); short >= 0 {
			want.WriteString(`\` + "bfnrt"[short:short+1])
		} else {
			fmt.Fprintf(&want, `\u%04x`, c)
		}
	}
	for s, want := range map[string]string{
		"": `""`, "abc": `"abc"`, `a"b\c/`: `"a\"b\\c/"`, "</script>&'\u2028\u2029\x7fü😀": "\"</script>&'\u2028\u2029\x7fü😀\"",
		controls.String(): `"` + want.String() + `"`, "\"\"": `"\"\""`, "end\n": `"end\n"`,
	} {
		if got := string(rawjson.AppendString([]byte("x"), s)); got != "x"+want {
			t.Errorf("AppendString(%q) = %s, want x%s", s, got, want)
		}
		if got := string(rawjson.AppendString(nil, []byte(s))); got != want {
			t.Errorf("AppendString(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestObject(t *testing.T) {
	got := ""
	collect := func(key, value []byte) error { got += fmt.Sprintf("%s=%s;", key, value); return nil }
	for text, want := range map[string]string{
		`{}`: "", " { } ": "", `{"a":1}`: "a=1;",
		" {\n\"a\" : { \"b\" : 1 } , \"\" :[1, 2], \"\\u0061\":\"\\u0061\"\t}\r\n": `a={ "b" : 1 };=[1, 2];a="\u0061";`,
	} {
		got = ""
		if err := rawjson.Object([]byte(text), collect); err != nil || got != want {
			t.Errorf("Object(%q) gave %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		``, ` `, `[]`, `1`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a":1}}`, `{"a":1} x`, `{} {}`, `{"a" 1}`, `{"a":1 "b":2}`, `{"\ud800":1}`, "{\"\n\":1}",
	} {
		if err := rawjson.Object([]byte(text), collect); !errors.Is(err, rawjson.ErrSyntax) {
			t.Errorf("Object(%q) = %v, want ErrSyntax", text, err)
		}
	}
}

func TestArray(t *testing.T) {
	got := ""
	collect := func(value []byte) error { got += fmt.Sprintf("%s;", value); return nil }
	for text, want := range map[string]string{
		`[]`: "", " [\t] ": "", `[1]`: "1;", " [ 1.0 ,\"a,]\" , [ 2 ],{\"a\": 1}\n] ": `1.0;"a,]";[ 2 ];{"a": 1};`,
	} {
		got = ""
		if err := rawjson.Array([]byte(text), collect); err != nil || got != want {
			t.Errorf("Array(%q) gave %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{``, ` `, `{}`, `1`, `[`, `[1`, `[1,`, `[1,]`, `[,]`, `[1]]`, `[1] x`, `[] []`, `[1 2]`, `[1}`} {
		if err := rawjson.Array([]byte(text), collect); !errors.Is(err, rawjson.ErrSyntax) {
			t.Errorf("Array(%q) = %v, want ErrSyntax", text, err)
		}
	}
}

// An error of the callback ends the walk.
func TestWalkEnds(t *testing.T) {
	want := errors.New("enough")
	calls := 0
	if err := rawjson.Array([]byte(`[1,2,3]`), func([]byte) error { calls++; return want }); err != want || calls != 1 {
		t.Errorf("Array: got %v after %d calls, want %v after 1", err, calls, want)
	}
	calls = 0
	if err := rawjson.Object([]byte(`{"a":1,"b":2}`), func(_, _ []byte) error { calls++; return want }); err != want || calls != 1 {
		t.Errorf("Object: got %v after %d calls, want %v after 1", err, calls, want)
	}
}

func TestTrim(t *testing.T) {
	for text, want := range map[string]string{"": "", " \t\r\n": "", " a b ": "a b", "\n{}": "{}", "\v1": "\v1", "1\u00a0": "1\u00a0"} {
		if got := string(rawjson.Trim([]byte(text))); got != want {
			t.Errorf("Trim(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestIsObject(t *testing.T) {
	for text, want := range map[string]bool{`{}`: true, `{"a":1}`: true, `[]`: false, `null`: false, `"{"`: false, ``: false} {
		if got := rawjson.IsObject([]byte(text)); got != want {
			t.Errorf("IsObject(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	object := []byte(`{"a":[1,-2.5e3,true,{"b":"c\n"}],"d":null}`)
	array := []byte(`[1,"a",{"b":[]}]`)
	dst := make([]byte, 0, 100)
	for name, call := range map[string]func(){
		"Valid":        func() { rawjson.Valid(object) },
		"Object":       func() { _ = rawjson.Object(object, func(_, _ []byte) error { return nil }) },
		"Array":        func() { _ = rawjson.Array(array, func([]byte) error { return nil }) },
		"Unquote":      func() { _, _ = rawjson.Unquote([]byte(`"plain"`)) },
		"AppendString": func() { rawjson.AppendString(dst, "a\nb") },
	} {
		if got := testing.AllocsPerRun(100, call); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}
