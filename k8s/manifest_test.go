package k8s_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// object is one manifest.
type object map[string]any

// parse reads the documents of a YAML stream.
func parse(t *testing.T, text string) []object {
	t.Helper()
	var all []object
	for d := yaml.NewDecoder(bytes.NewReader([]byte(text))); ; {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not YAML: %v\n%s", err, text)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
}

// at follows keys, and returns nil where there is nothing.
func at(value any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case object:
			value = v[key]
		case map[string]any:
			value = v[key]
		case []any:
			if key != "0" || len(v) == 0 {
				return nil
			}
			value = v[0]
		default:
			return nil
		}
	}
	return value
}

func (o object) text(path string) string {
	text, _ := at(o, path).(string)
	return text
}

func (o object) kind() string { return o.text("kind") }
func (o object) name() string { return o.text("metadata.name") }

// list returns the maps of a list.
func list(value any) []map[string]any {
	items, _ := value.([]any)
	var all []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// number returns a whole number of any type.
func number(value any) int {
	switch n := value.(type) {
	case int:
		return n
	case int64:
		return int(n)
	case uint64:
		return int(n)
	case float64:
		return int(n)
	}
	return -1
}

// find returns the only object of a kind with that name; any name if it is empty.
func find(t *testing.T, all []object, kind, name string) object {
	t.Helper()
	var found object
	for _, o := range all {
		if o.kind() == kind && (name == "" || o.name() == name) {
			if found != nil {
				t.Fatalf("got two of %s %s", kind, name)
			}
			found = o
		}
	}
	if found == nil {
		t.Fatalf("got no %s %s", kind, name)
	}
	return found
}

func has(all []object, kind string) bool {
	for _, o := range all {
		if o.kind() == kind {
			return true
		}
	}
	return false
}
