package k8s_test

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// values are all words in quotation marks in the gateway's source: results and reasons are among them.
var values = map[string]bool{}

// registered matches the names of metrics in the gateway's source.
var registered = regexp.MustCompile(`"(roost_[a-z0-9_]+)"`)

// literal matches what may be a label's value there.
var literal = regexp.MustCompile(`"([a-z0-9_]+)"`)

// metricNames returns the names of all metrics that the gateway's code registers.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "k8s" || d.Name() == "node_modules" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		for _, m := range registered.FindAllStringSubmatch(read(t, path), -1) {
			names[m[1]] = true
		}
		for _, m := range literal.FindAllStringSubmatch(read(t, path), -1) {
			values[m[1]] = true
		}
		return nil
	})
	if err != nil || len(names) < 20 {
		t.Fatalf("got %d names of metrics (error %v), want all", len(names), err)
	}
	return names
}

// ofGo are the metrics of Go's and the process's collectors that are used.
var ofGo = map[string]bool{
	"process_open_fds": true, "process_max_fds": true, "process_resident_memory_bytes": true, "process_cpu_seconds_total": true,
}

// checkExpr parses an expression of PromQL and holds its metrics against the code's. It returns the selectors in it.
func checkExpr(t *testing.T, names map[string]bool, where, text string) []*parser.VectorSelector {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %s: %v", where, text, err)
		return nil
	}
	var selectors []*parser.VectorSelector
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			selectors = append(selectors, s)
			name := s.Name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, found := strings.CutSuffix(s.Name, suffix); found && names[base] {
					name = base
				}
			}
			for _, m := range s.LabelMatchers {
				if m.Name != "result" {
					continue
				}
				for value := range strings.SplitSeq(m.Value, "|") {
					if !values[value] {
						t.Errorf("%s: the gateway's code knows no result %q", where, value)
					}
				}
			}
			if !names[name] && !ofGo[name] {
				t.Errorf("%s: the gateway has no metric %s", where, s.Name)
			}
		}
		return nil
	})
	if len(selectors) == 0 {
		t.Errorf("%s: %s asks for no metric", where, text)
	}
	return selectors
}

// runbooks are the sections of docs/operations.md that alerts may link to.
var runbooks = map[string]bool{
	"nobody-receives": true, "user-cannot-join": true, "everything-reconnects": true, "ghosts": true, "backend-down": true, "redis-down": true,
}

func TestAlertsAgree(t *testing.T) {
	names := metricNames(t)
	all := parse(t, render(t, "--values", "testdata/values/everything.yaml"))
	seen := 0
	for _, group := range list(at(find(t, all, "PrometheusRule", "live"), "spec.groups")) {
		for _, rule := range list(group["rules"]) {
			seen++
			name := rule["alert"].(string)
			for _, s := range checkExpr(t, names, name, rule["expr"].(string)) {
				if got := matcher(s, "job") + " " + matcher(s, "namespace"); got != "live-pods default" {
					t.Errorf("%s: %s is of %s, want this release's", name, s.Name, got)
				}
			}
			file, section, _ := strings.Cut(at(rule, "annotations.runbook_url").(string), "#")
			if file != "docs/operations.md" || !runbooks[section] {
				t.Errorf("%s: got runbook %s#%s, which is none", name, file, section)
			}
			if s := at(rule, "labels.severity"); s != "critical" && s != "warning" && s != "info" {
				t.Errorf("%s: got severity %v", name, s)
			}
		}
	}
	if seen < 10 {
		t.Errorf("got %d alerts, want all", seen)
	}
}

func matcher(s *parser.VectorSelector, name string) string {
	for _, m := range s.LabelMatchers {
		if m.Name == name && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

func TestDashboardAgrees(t *testing.T) {
	names := metricNames(t)
	var board struct {
		Panels []struct {
			Title, Type, Description string
			Targets                  []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "chart/files/dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"$__rate_interval": "5m"}
	for _, v := range board.Templating.List {
		variables["$"+v.Name] = "x"
	}
	for _, p := range board.Panels {
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q has no title, no description or no targets", p.Title)
		}
		for _, target := range p.Targets {
			text := target.Expr
			for name, value := range variables {
				text = strings.ReplaceAll(text, name, value)
			}
			checkExpr(t, names, p.Title, text)
		}
	}
}

// What scales by connections asks for the same metric as the code has.
func TestAutoscalersAgree(t *testing.T) {
	names := metricNames(t)
	hpa := find(t, parse(t, render(t, "--values", "testdata/values/everything.yaml")), "HorizontalPodAutoscaler", "live")
	if name, _ := at(hpa, "spec.metrics.0.pods.metric.name").(string); !names[name] {
		t.Errorf("HorizontalPodAutoscaler: the gateway has no metric %q", name)
	}
	scaled := find(t, parse(t, render(t, "--values", "testdata/values/keda.yaml")), "ScaledObject", "roost")
	checkExpr(t, names, "ScaledObject", at(scaled, "spec.triggers.0.metadata.query").(string))
}
