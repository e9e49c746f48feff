package phoenix_test

import (
	"encoding/json"
	"testing"

	"roost/phoenix"
)

func TestRefEqual(t *testing.T) {
	for _, c := range []struct {
		a, b phoenix.Ref
		want bool
	}{
		{"", "", true},
		{`"1"`, `"1"`, true},
		{`"1"`, `"2"`, false},
		{`"1"`, "", false},
		{`"1"`, "1", false}, // P15: type counts
		{"1", "1", true},
		{"1", "1.0", false},
		{"0", "", false},
		{`""`, "", false}, // B5: an empty join_ref is not null
		{`""`, `""`, true},
		{`"1"`, `"\u0031"`, true},
		{`"\u0031"`, `"1"`, true},
		{`"a\/b"`, `"a/b"`, true},
		{`"\ud83d\ude00"`, `"😀"`, true},
		{`"\\u0031"`, `"1"`, false},
		{`"null"`, "", false},
		{"true", `"true"`, false},
		{`[1]`, `[1]`, true},
	} {
		if got := c.a.Equal(c.b); got != c.want {
			t.Errorf("Ref(%s).Equal(%s) = %v, want %v", c.a.JSON(), c.b.JSON(), got, c.want)
		}
		if got := c.b.Equal(c.a); got != c.want {
			t.Errorf("Ref(%s).Equal(%s) = %v, want %v", c.b.JSON(), c.a.JSON(), got, c.want)
		}
	}
}

func TestRefOr(t *testing.T) {
	for _, c := range []struct{ r, o, want phoenix.Ref }{
		{`"1"`, `"2"`, `"1"`},
		{"", `"2"`, `"2"`},
		{`""`, `"2"`, `""`},
		{"", "", ""},
	} {
		if got := c.r.Or(c.o); got != c.want {
			t.Errorf("Ref(%s).Or(%s) = %s, want %s", c.r.JSON(), c.o.JSON(), got.JSON(), c.want.JSON())
		}
	}
}

func TestRefJSON(t *testing.T) {
	for r, want := range map[phoenix.Ref]string{"": "null", `"1"`: `"1"`, "7": "7", `{"a": 1}`: `{"a": 1}`} {
		if got := r.JSON(); got != want {
			t.Errorf("JSON() = %s, want %s", got, want)
		}
	}
}

func TestStringRef(t *testing.T) {
	for _, want := range []string{"", "1", `a"b\c`, "</script>&\u2028", "tab\tnull\x00del\x7f", "ü😀"} {
		for _, r := range []phoenix.Ref{phoenix.StringRef(want), phoenix.StringRef([]byte(want))} {
			var got string
			if err := json.Unmarshal([]byte(r), &got); err != nil || got != want {
				t.Errorf("StringRef(%q) = %s, which reads %q, %v", want, r, got, err)
			}
		}
	}
}
