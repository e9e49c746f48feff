package house_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// root is the repository's.
const root = "../.."

// files returns the files of the repository whose names end so.
func files(t *testing.T, suffix string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(path, suffix):
			names = append(names, path)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("got %d files %s: %v", len(names), suffix, err)
	}
	return names
}

func text(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	runbook = regexp.MustCompile(`docs/[a-z-]+\.md#[a-z-]+`)
	named   = regexp.MustCompile("`(Test[A-Z]\\w*)")
	tests   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// anchors are those that headings get where pages are shown.
func anchors(page string) map[string]bool {
	all := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		var a strings.Builder
		for _, r := range strings.ToLower(link.ReplaceAllString(h[1], "")) {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				a.WriteRune(r)
			case r == ' ':
				a.WriteByte('-')
			}
		}
		all[a.String()] = true
	}
	return all
}

// follow fails the test unless a link of a page leads somewhere.
func follow(t *testing.T, from, target string) {
	t.Helper()
	file, anchor, hasAnchor := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = filepath.Join(filepath.Dir(from), file)
	}
	if _, err := os.Stat(to); err != nil {
		t.Errorf("%s: the link %s leads nowhere", from, target)
		return
	}
	if hasAnchor && strings.HasSuffix(to, ".md") && !anchors(text(t, to))[anchor] {
		t.Errorf("%s: the link %s leads to no heading", from, target)
	}
}

// TestLinks: links between pages lead somewhere, and so do those of alerts.
func TestLinks(t *testing.T) {
	for _, page := range files(t, ".md") {
		plain := code.ReplaceAllString(fence.ReplaceAllString(text(t, page), ""), "")
		for _, l := range link.FindAllStringSubmatch(plain, -1) {
			if !strings.Contains(l[1], "://") && !strings.HasPrefix(l[1], "mailto:") {
				follow(t, page, l[1])
			}
		}
	}
	for _, target := range runbook.FindAllString(text(t, filepath.Join(root, "k8s/chart/files/alerts.yaml")), -1) {
		follow(t, filepath.Join(root, "README.md"), target)
	}
}

// TestNamedTests: tests that pages name are there.
func TestNamedTests(t *testing.T) {
	known := map[string]bool{}
	for _, name := range files(t, "_test.go") {
		for _, f := range tests.FindAllStringSubmatch(text(t, name), -1) {
			known[f[1]] = true
		}
	}
	for _, page := range files(t, ".md") {
		for _, m := range named.FindAllStringSubmatch(text(t, page), -1) {
			if !known[m[1]] {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
}
