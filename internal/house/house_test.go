package house_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayImport says which rooms a room may import. Rooms that are not named are programs, examples and tests.
var mayImport = map[string][]string{
	"roost/internal/rawjson": {},
	"roost/phoenix":          {"roost/internal/rawjson"},
	"roost/auth":             {"roost/phoenix", "roost/internal/rawjson"},
	"roost/auth/token":       {"roost/auth", "roost/internal/rawjson"},
	"roost/auth/webhook":     {"roost/auth", "roost/phoenix", "roost/internal/rawjson"},
	"roost/hub":              {"roost/phoenix", "roost/internal/rawjson"},
	"roost/hub/redisbroker":  {"roost/hub"},
	"roost/gateway":          {"roost/hub", "roost/auth", "roost/phoenix", "roost/internal/rawjson"},
	"roost/admin":            {"roost/hub", "roost/internal/rawjson"},
	"roost/web":              {},
}

// behind says in which rooms a library may be seen.
var behind = map[string][]string{
	"github.com/redis/go-redis/v9":        {"roost/hub/redisbroker", "roost/internal/redistest", "roost/bench/redis"},
	"github.com/gorilla/websocket":        {"roost/gateway", "roost/phoenix/phoenixtest", "roost/cmd/gateway"}, // gateway check is a client
	"github.com/hashicorp/golang-lru/v2":  {"roost/auth/webhook", "roost/gateway"},
	"github.com/alicebob/miniredis/v2":    {"roost/cmd/gateway", "roost/internal/redistest"},
	"go.opentelemetry.io/otel":            {"roost/gateway", "roost/auth/webhook", "roost/cmd/gateway"},
	"github.com/golang-jwt/jwt/v5":        {"roost/auth/token"},
	"github.com/MicahParks/jwkset":        {"roost/auth/token"},
	"github.com/Shopify/toxiproxy/v2":     {"roost/internal/redistest"},
	"github.com/prometheus/client_golang": {"roost/gateway", "roost/hub", "roost/hub/redisbroker", "roost/auth/webhook", "roost/auth/token", "roost/admin", "roost/cmd/gateway"},
}

type goPackage struct {
	ImportPath, Doc, Dir string
	Imports, GoFiles     []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Dir,Imports,GoFiles", "roost/...")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
}

func TestArrowsPointRight(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		allowed, found := mayImport[p.ImportPath]
		if !found {
			continue
		}
		seen++
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "roost/") && !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
	if seen != len(mayImport) {
		t.Errorf("got %d of the %d rooms in the table", seen, len(mayImport))
	}
}

func TestLibrariesStayBehindTheirRooms(t *testing.T) {
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			for library, rooms := range behind {
				if (i == library || strings.HasPrefix(i, library+"/")) && rooms != nil && !slices.Contains(rooms, p.ImportPath) {
					t.Errorf("%s imports %s", p.ImportPath, i)
				}
			}
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func TestFilesAreShortAndFinished(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(data, []byte("\n")); n > 350 {
				t.Errorf("%s has %d lines, more than 350", file, n)
			}
			if m := unfinished.Find(data); m != nil {
				t.Errorf("%s says %s", file, m)
			}
		}
	}
}
