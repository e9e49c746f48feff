package gateway

import "strings"

// path is a mount point, as segments; one that begins with a colon is a variable.
type path []string

func parsePath(s string) path { return split(s) }

func split(s string) []string {
	return strings.Split(strings.Trim(s, "/"), "/")
}

// match tells whether p names the mount point, and returns the variables as name, value, name, value. A slash at the end
// does not matter.
func (p path) match(s string) (vars []string, found bool) {
	segments := split(s)
	if len(segments) != len(p) {
		return nil, false
	}
	for i, want := range p {
		if name, variable := strings.CutPrefix(want, ":"); variable && segments[i] != "" {
			vars = append(vars, name, segments[i])
		} else if segments[i] != want {
			return nil, false
		}
	}
	return vars, true
}
