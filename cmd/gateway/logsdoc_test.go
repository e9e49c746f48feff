package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// logged returns the texts of all log lines of the program's rooms, with the file that writes each.
func logged(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, room := range []string{"../../gateway", "../../hub", "../../auth", "../../admin", "."} {
		err := filepath.WalkDir(room, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !strings.Contains("Debug Info Warn Error", method.Sel.Name) {
					return true
				}
				if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					texts[text] = name
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

// Every line that is logged has its code in docs/logs.md.
func TestLogsDoc(t *testing.T) {
	page, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := logged(t)
	if len(texts) < 20 {
		t.Fatalf("got %d log lines in the source, want all", len(texts))
	}
	for text, file := range texts {
		if code := "| `" + logCode(text) + "` |"; !strings.Contains(string(page), code) {
			t.Errorf("docs/logs.md has no row %s, for %q in %s", code, text, file)
		}
	}
}
