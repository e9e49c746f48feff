package k8s_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// table is where the README has the values.
var table = regexp.MustCompile(`(?s)(<!-- values -->\n).*(<!-- end of values -->)`)

// valueLine matches a key of values.yaml.
var valueLine = regexp.MustCompile(`^( *)([A-Za-z0-9]+):(.*)$`)

// valuesTable makes the README's table of the comments in values.yaml: each value below a comment that begins with "--"
// is a row.
func valuesTable(t *testing.T) string {
	t.Helper()
	var rows strings.Builder
	rows.WriteString("| value | default | |\n| --- | --- | --- |\n")
	var path []string
	comment, documented := "", -1 // the indent of the row that children belong to
	for line := range strings.Lines(read(t, "chart/values.yaml")) {
		line = strings.TrimRight(line, "\n")
		if text, found := strings.CutPrefix(strings.TrimSpace(line), "# -- "); found {
			if comment != "" {
				t.Errorf("values.yaml: %q describes no value", comment)
			}
			comment = text
			continue
		}
		m := valueLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		indent, key, value := len(m[1])/2, m[2], strings.TrimSpace(m[3])
		if documented >= 0 && indent > documented {
			continue
		}
		documented = -1
		path = append(path[:indent], key)
		name := strings.Join(path, ".")
		switch {
		case comment != "":
			if value == "" {
				value, documented = "see values.yaml", indent
			} else {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", name, value, strings.ReplaceAll(comment, "|", "\\|"))
		case value != "":
			t.Errorf("values.yaml: %s has no comment that begins with --", name)
		}
		comment = ""
	}
	return rows.String()
}

func TestValuesTableIsCurrent(t *testing.T) {
	text := read(t, "chart/README.md")
	if !table.MatchString(text) {
		t.Fatal("chart/README.md has no place for the values")
	}
	golden(t, "chart/README.md", table.ReplaceAllStringFunc(text, func(string) string {
		return "<!-- values -->\n" + valuesTable(t) + "<!-- end of values -->"
	}))
}

// Every value is in the schema, and the schema knows no other.
func TestSchemaIsComplete(t *testing.T) {
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal([]byte(read(t, "chart/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	values := parse(t, read(t, "chart/values.yaml"))[0]
	for key := range values {
		if schema.Properties[key] == nil {
			t.Errorf("the schema does not know %s", key)
		}
	}
	for key := range schema.Properties {
		if _, found := values[key]; !found && key != "global" {
			t.Errorf("the schema has %s, which values.yaml has not", key)
		}
	}
}
