package image_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const root = "../.."

// instructions returns the Dockerfile's lines, continued ones joined.
func instructions(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(strings.ReplaceAll(string(data), "\\\n", "")) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

// instruction returns what follows the last word of that kind.
func instruction(t *testing.T, word string) string {
	t.Helper()
	found := ""
	for _, line := range instructions(t) {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			found = rest
		}
	}
	if found == "" {
		t.Fatalf("got no %s in the Dockerfile", word)
	}
	return found
}

// buildStep returns the command that builds the binary, to be written to output.
func buildStep(t *testing.T, output string) string {
	t.Helper()
	for _, line := range instructions(t) {
		if strings.HasPrefix(line, "RUN ") && strings.Contains(line, "go build") {
			return strings.Replace(strings.TrimPrefix(line, "RUN "), "-o /gateway ", "-o "+output+" ", 1)
		}
	}
	t.Fatal("got no RUN with go build in the Dockerfile")
	return ""
}

// source copies what the build needs into a directory of its own.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := exec.CommandContext(t.Context(), "sh", "-c",
		`tar -C "$1" --exclude=./.git --exclude=node_modules --exclude=./bin -cf - . | tar -C "$2" -xf -`, "sh", root, dir)
	if out, err := files.CombinedOutput(); err != nil {
		t.Fatalf("copy the source: %v\n%s", err, out)
	}
	return dir
}

// build runs the Dockerfile's step in dir and returns the binary's path.
func build(t *testing.T, dir, arch string) string {
	t.Helper()
	output := filepath.Join(t.TempDir(), "gateway")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", buildStep(t, output))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+arch, "VERSION=v9.8.7", "REVISION=abc123", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return output
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Two builds in two places are the same bytes, for both architectures, and need nothing of the system.
func TestBuildIsReproducibleAndStatic(t *testing.T) {
	here, there := source(t), source(t)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		binary := build(t, here, arch)
		if !bytes.Equal(read(t, binary), read(t, build(t, there, arch))) {
			t.Errorf("%s: got two binaries, want the same bytes twice", arch)
		}
		file, err := elf.Open(binary)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Machine != machine {
			t.Errorf("%s: got a binary for %v, want %v", arch, file.Machine, machine)
		}
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: got %v, want a static binary", arch, p.Type)
			}
		}
		if arch == runtime.GOARCH && runtime.GOOS == "linux" {
			checkStamp(t, binary)
			checkHealth(t, binary)
		}
	}
}

// checkStamp runs the binary, which must say what it was built from.
func checkStamp(t *testing.T, binary string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "roost v9.8.7 (revision abc123, go") {
		t.Errorf("gateway version: got %q, error %v, want the arguments of the build", out, err)
	}
}

// checkHealth runs the image's health check, which must be a command that the binary knows.
func checkHealth(t *testing.T, binary string) {
	t.Helper()
	_, command, found := strings.Cut(instruction(t, "HEALTHCHECK"), "CMD ")
	var words []string
	if err := json.Unmarshal([]byte(command), &words); !found || err != nil || len(words) == 0 || words[0] != "/gateway" {
		t.Fatalf("got health check %q, want a list that begins with /gateway", command)
	}
	cmd := exec.CommandContext(t.Context(), binary, words[1:]...)
	cmd.Env = []string{"ROOST_ADMIN_PORT=1"}
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "refused") {
		t.Errorf("the health check where nobody listens: got %q, error %v, want exit code 1", out, err)
	}
}

func TestImage(t *testing.T) {
	if got := instruction(t, "FROM"); got != "scratch" {
		t.Errorf("got an image from %s, want scratch", got)
	}
	if user := instruction(t, "USER"); user != "65532:65532" {
		t.Errorf("got user %s, want 65532:65532: by number, so that Kubernetes sees it is not root", user)
	}
	if entry := instruction(t, "ENTRYPOINT"); entry != `["/gateway"]` {
		t.Errorf("got entry point %s, want the binary alone", entry)
	}
}
