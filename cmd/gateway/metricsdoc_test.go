package main

import (
	"cmp"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const metricsDoc = "../../docs/metrics.md"

// metricsHead stands in front of the table.
const metricsHead = `# Metrics

At ` + "`/metrics`" + ` of the admin port, in Prometheus' format. Beside these there are Go's own (` + "`go_…`" + `) and the process's (` + "`process_…`" + `).
No label holds what clients or backends choose freely. This page is written from what the program registers:
` + "`go test ./cmd/gateway -run TestMetricsDoc -update`" + `.

| metric | type | labels | what |
| --- | --- | --- | --- |
`

var described = regexp.MustCompile(`^Desc\{fqName: "(.*?)", help: "(.*?)", (?:unit: ".*?", )?constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}\}$`)

// documented returns the page as it should be.
func documented(t *testing.T) string {
	t.Helper()
	cfg, wrong := load(with(good, "ROOST_JWT_KEY="+strings.Repeat("k", 32))...)
	if wrong != "" {
		t.Fatal(wrong)
	}
	p, err := newPod(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p.operators() // has metrics, too
	kinds := map[string]string{}
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	descs := make(chan *prometheus.Desc, 1000)
	p.metrics.Describe(descs)
	close(descs)
	var rows []string
	for d := range descs {
		found := described.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("%s is written in another way than this test knows", d)
		}
		name, help, constant, labels := found[1], found[2], found[3], found[4]
		if !strings.HasPrefix(name, "roost_") {
			continue
		}
		for _, pair := range strings.Split(constant, ",") {
			key, _, _ := strings.Cut(pair, "=")
			labels = strings.Trim(labels+","+key, ",")
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, kindOf(name, kinds), strings.ReplaceAll(labels, ",", ", "), help))
	}
	slices.SortFunc(rows, cmp.Compare)
	return metricsHead + strings.Join(rows, "")
}

// kindOf returns the type of a metric. One with labels has no samples yet; then its name tells.
func kindOf(name string, gathered map[string]string) string {
	switch {
	case gathered[name] != "":
		return gathered[name]
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_seconds"):
		return "histogram"
	default:
		return "gauge"
	}
}

func TestMetricsDoc(t *testing.T) {
	want := documented(t)
	if *update {
		if err := os.WriteFile(metricsDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/metrics.md is not what the program registers; run go test ./cmd/gateway -run TestMetricsDoc -update")
	}
}
