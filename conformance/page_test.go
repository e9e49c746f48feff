package conformance_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// page is docs/from-phoenix.md: what its code blocks say, by heading and language. That of a JSON block is "json" and the part
// of the schema that it must satisfy.
type page struct {
	text   string
	blocks map[string][]string
}

func fromPhoenix(t *testing.T) page {
	t.Helper()
	p := page{text: readFile(t, "../docs/from-phoenix.md"), blocks: map[string][]string{}}
	heading, kind, block := "", "", ""
	for line := range strings.Lines(p.text) {
		fence, isFence := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "```")
		switch {
		case isFence && kind == "":
			kind = fence
		case isFence:
			p.blocks[heading+" "+kind] = append(p.blocks[heading+" "+kind], block)
			kind, block = "", ""
		case kind != "":
			block += line
		case strings.HasPrefix(line, "## "):
			heading = strings.ReplaceAll(strings.TrimSpace(line[3:]), "`", "")
		}
	}
	return p
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// block returns the nth block of a language under a heading.
func (p page) block(t *testing.T, heading, kind string, n int) string {
	t.Helper()
	found := p.blocks[heading+" "+kind]
	if n >= len(found) {
		t.Fatalf("got %d blocks %s under %s, want more than %d", len(found), kind, heading, n)
	}
	return found[n]
}

// rows returns the cells of the table under a heading, without its head.
func (p page) rows(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	_, section, found := strings.Cut(p.text, "## "+heading+"\n")
	if !found {
		t.Fatalf("there is no %s", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| ") {
			cells := strings.Split(strings.Trim(line, "| "), "|")
			for i := range cells {
				cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "*")
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) < 3 {
		t.Fatalf("got %d rows under %s", len(rows), heading)
	}
	return rows[2:]
}

var (
	settingName = regexp.MustCompile(`ROOST_[A-Z_]+`)
	metricName  = regexp.MustCompile(`\broost_[a-z_]+`)
	code        = regexp.MustCompile("^`([^`]+)`")
)

// TestFromPhoenixNames checks the JSON, settings, defaults and metrics that docs/from-phoenix.md names.
func TestFromPhoenixNames(t *testing.T) {
	t.Parallel()
	p := fromPhoenix(t)
	checked := 0
	for name, blocks := range p.blocks {
		_, kind, found := strings.Cut(name, " json")
		if !found {
			continue
		}
		for _, block := range blocks {
			kind := strings.TrimSpace(kind)
			if lab.backend.schemas[kind] == nil {
				t.Errorf("%s: nothing says what this is: %s", name, block)
			} else if err := lab.backend.schemas.check(kind, []byte(block)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			checked++
		}
	}
	if checked < 10 {
		t.Errorf("got %d blocks of JSON, want more", checked)
	}
	readme, metrics := readFile(t, "../README.md"), readFile(t, "../docs/metrics.md")
	for _, name := range settingName.FindAllString(p.text, -1) {
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("the README has no setting %s", name)
		}
	}
	for _, name := range metricName.FindAllString(p.text, -1) {
		if !strings.Contains(metrics, "`"+name+"`") {
			t.Errorf("docs/metrics.md has no %s", name)
		}
	}
	inForce := config(t)
	for _, row := range p.rows(t, "Options of `socket/3`") {
		name := settingName.FindString(row[2])
		want := inForce[name]
		if name == "" || row[3] == strings.Trim(want, "()") {
			continue
		}
		is, err := time.ParseDuration(want)
		if says, err2 := time.ParseDuration(row[3]); err != nil || err2 != nil || is != says {
			t.Errorf("the default of %s is %s, not %s", name, want, row[3])
		}
	}
	for _, row := range p.rows(t, "`check_origin`") {
		if value := code.FindStringSubmatch(row[1]); value != nil {
			config(t, "ROOST_CHECK_ORIGIN="+value[1])
		}
	}
	config(t, strings.Fields(p.block(t, "Drainer", "sh", 0))...)
}

// config returns what gateway config prints with these settings, which must be right.
func config(t *testing.T, environ ...string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), lab.binary, "config")
	cmd.Env = append([]string{"REDIS_URL=" + lab.redis.url(), "ROOST_WEBHOOK_URL=" + lab.backend.url}, environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("gateway config with %q: %v\n%s", environ, err, out)
	}
	inForce := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		inForce[name] = strings.TrimSpace(value)
	}
	return inForce
}
