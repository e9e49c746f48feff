package rawjson_test

import (
	"testing"

	"roost/internal/rawjson"
)

func TestReplace(t *testing.T) {
	for _, c := range []struct{ object, name, value, want string }{
		{`{"a":1,"b":{"a":2},"c":3}`, "a", `[9]`, `{"a":[9],"b":{"a":2},"c":3}`},
		{`{"a":1,"b":2}`, "b", "", `{"a":1}`},
		{`{"b":2}`, "b", "", `{}`},
		{`{"\u0062":2, "c" : 3}`, "b", "", `{"c":3}`},
		{`{ "a" : 1 }`, "b", "2", `{ "a" : 1 }`},
		{``, "b", "2", ``},
	} {
		var value []byte
		if c.value != "" {
			value = []byte(c.value)
		}
		if got := string(rawjson.Replace([]byte(c.object), c.name, value)); got != c.want {
			t.Errorf("Replace(%s, %q, %q) = %s, want %s", c.object, c.name, c.value, got, c.want)
		}
	}
}
