package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// secrets are never printed.
var secrets = []string{"REDIS_URL", "ROOST_WEBHOOK_SECRET", "ROOST_JWT_KEY", "ROOST_API_TOKEN"}

// fromFiles are the settings that hold secrets, and so may also come from a file named by NAME_FILE. Of the webhook's URL the
// secret parts are not printed.
var fromFiles = append([]string{"ROOST_WEBHOOK_URL"}, secrets...)

// isServiceName matches names that Kubernetes puts into every pod beside a Service whose name begins with "roost".
var isServiceName = regexp.MustCompile(
	`^ROOST_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`).MatchString

// isServiceLink matches what Kubernetes puts into NAME_PORT.
var isServiceLink = regexp.MustCompile(`^(tcp|udp|sctp)://`).MatchString

// readEnviron returns the environment with secrets read from their files and Kubernetes' service links left out, and
// everything that is wrong about names and files.
func readEnviron(environ []string) (map[string]string, []error) {
	vars := env.ToMap(environ)
	for name, value := range vars {
		injected := isServiceName(name) || strings.HasSuffix(name, "_PORT") && isServiceLink(value)
		if value == "" || strings.HasPrefix(name, "ROOST_") && injected {
			delete(vars, name)
		}
	}
	var wrong []error
	for _, name := range fromFiles {
		if err := readSecret(vars, name); err != nil {
			wrong = append(wrong, err)
		}
	}
	known := names()
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		switch {
		case !strings.HasPrefix(name, "ROOST_"), slices.Contains(known, name):
		default:
			wrong = append(wrong, fmt.Errorf("%s: no such setting; did you mean %s?", name, nearest(name, known)))
		}
	}
	return vars, wrong
}

// readSecret fills vars[name] from the file that NAME_FILE names. Editors and kubectl leave a newline behind it.
func readSecret(vars map[string]string, name string) error {
	file, found := vars[name+"_FILE"]
	if !found {
		return nil
	}
	if _, both := vars[name]; both {
		return fmt.Errorf("%s and %s_FILE are both set: use one", name, name)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", name, err)
	}
	if vars[name] = strings.TrimRight(string(data), "\r\n"); vars[name] == "" {
		return fmt.Errorf("%s_FILE: %s is empty", name, file)
	}
	return nil
}

// names returns all settings, sorted.
func names() []string {
	known := make([]string, 0, 40)
	for _, f := range fields() {
		known = append(known, f.name)
	}
	for _, name := range fromFiles {
		known = append(known, name+"_FILE")
	}
	slices.Sort(known)
	return known
}

// nearest returns the name that takes the fewest edits to reach.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance counts the letters to insert, delete or replace that turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			edit := diagonal
			if a[i] != b[j] {
				edit++
			}
			diagonal = row[j+1]
			row[j+1] = min(edit, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
