package gateway

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDecodeQuery(t *testing.T) {
	for query, want := range map[string]string{
		"":                             `{}`,
		"&&":                           `{}`,
		"a=1":                          `{"a":"1"}`,
		"n":                            `{"n":""}`,
		"e=":                           `{"e":""}`,
		"=":                            `{"":""}`,
		"=v":                           `{"":"v"}`,
		"a=b=c":                        `{"a":"b=c"}`,
		"a=1&a=2":                      `{"a":"2"}`,
		"a=1;b=2":                      `{"a":"1;b=2"}`,
		"a+b=c+d%2B":                   `{"a b":"c d+"}`,
		"%C3%BC=%E2%82%AC":             `{"ü":"€"}`,
		"a=%22%5C%0A%00":               `{"a":"\"\\\n\u0000"}`,
		"a[b]=c":                       `{"a":{"b":"c"}}`,
		"a%5Bb%5D=c":                   `{"a":{"b":"c"}}`,
		"a[b]=1&a[c]=2":                `{"a":{"b":"1","c":"2"}}`,
		"a[b]=1&a[b]=2":                `{"a":{"b":"2"}}`,
		"a[0]=x&a[1]=y":                `{"a":{"0":"x","1":"y"}}`,
		"a[]=x&a[]=y":                  `{"a":["x","y"]}`,
		"a[]=":                         `{"a":[""]}`,
		"a[b][c][]=1&a[b][c][]=2":      `{"a":{"b":{"c":["1","2"]}}}`,
		"a[][b]=1":                     `{"a":[{"b":"1"}]}`,
		"a[][]=1":                      `{"a":[["1"]]}`,
		"a[]=1&a[b]=2":                 `{"a":{"b":"2"}}`,
		"a[b]=1&a[]=2":                 `{"a":["2"]}`,
		"a=1&a[b]=2":                   `{"a":{"b":"2"}}`,
		"a[b]=1&a=2":                   `{"a":"2"}`,
		"a[b][][c]=2&a[b]=1":           `{"a":{"b":"1"}}`,
		"a[b=1":                        `{"a[b":"1"}`,
		"a]=1":                         `{"a]":"1"}`,
		"[a]=1":                        `{"[a]":"1"}`,
		"a[b]c=1":                      `{"a[b]c":"1"}`,
		"a[[b]=1":                      `{"a":{"[b":"1"}}`,
		"a[]]=1":                       `{"a":{"]":"1"}}`,
		"&a%5B0%5D=x&b%5Bc%5D=d&&n&e=": `{"a":{"0":"x"},"b":{"c":"d"},"n":"","e":""}`, // H38
		"b=1&a=2&b=3":                  `{"b":"3","a":"2"}`,
		"vsn=1.0.0&vsn=2.0.0":          `{"vsn":"2.0.0"}`,
		"vsn[]=2.0.0":                  `{"vsn":["2.0.0"]}`,
	} {
		p, err := decodeQuery(query)
		if err != nil {
			t.Errorf("decodeQuery(%q) = %v, want %s", query, err, want)
		} else if got := string(p.appendJSON(nil)); !sameJSON(t, got, want) {
			t.Errorf("decodeQuery(%q) = %s, want %s", query, got, want)
		}
	}
}

// sameJSON compares as JSON, and the order of keys as well.
func sameJSON(t *testing.T, got, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Errorf("got %s, want JSON", got)
		return false
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return string(one) == string(other) && len(got) <= len(want)+10
}

func TestMalformedQueries(t *testing.T) {
	for _, query := range []string{
		"a=%ff", "%ff=a", "a=%C3", "a=%ed%a0%80",
		"a" + strings.Repeat("[b]", maxQueryDepth+1) + "=1",
		strings.Repeat("a&", 100_000), // many pairs cost more than they are worth
	} {
		if p, err := decodeQuery(query); err == nil {
			t.Errorf("decodeQuery(%.40q) = %s, want an error", query, p.appendJSON(nil))
		}
	}
	if _, err := decodeQuery("a" + strings.Repeat("[b]", maxQueryDepth) + "=1"); err != nil {
		t.Errorf("decodeQuery of %d levels = %v, want params", maxQueryDepth, err)
	}
}

func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "a=1&b", "a[b][]=%41&a[b][][c]=2", "a]=&[]=&[a]=", "%", "a=%zz", "a[[]]", "vsn=2.0.0&a+b=%C3%BC"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		p, err := decodeQuery(query)
		if err != nil {
			return
		}
		out := p.appendJSON(nil)
		var object map[string]any
		if err := json.Unmarshal(out, &object); err != nil {
			t.Fatalf("decodeQuery(%q) = %s, want a JSON object: %v", query, out, err)
		}
		if len(object) != len(p.keys) {
			t.Errorf("decodeQuery(%q) = %s, want no key twice", query, out)
		}
		if len(out) > 12*len(query)+2*maxQueryDepth+2 {
			t.Errorf("decodeQuery(%q): got %d bytes of JSON, want an amount like the query's %d", query, len(out), len(query))
		}
	})
}
