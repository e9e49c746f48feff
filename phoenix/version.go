package phoenix

import "strings"

// Version is a serializer version, fixed for the life of a connection.
type Version uint8

const (
	V1 Version = iota // JSON objects, text only
	V2                // JSON arrays, and binary frames
)

// ParseVersion reads the vsn parameter as Phoenix does: a full SemVer that matches ~> 1.0.0 or ~> 2.0.0. Pre-releases are
// refused. A missing parameter means "1.0.0"; that is for the caller to fill in.
func ParseVersion(vsn string) (Version, bool) {
	version, build, hasBuild := strings.Cut(vsn, "+")
	if hasBuild && !isBuild(build) {
		return V1, false
	}
	patch, found := strings.CutPrefix(version, "2.0.")
	v := V2
	if !found {
		if patch, found = strings.CutPrefix(version, "1.0."); !found {
			return V1, false
		}
		v = V1
	}
	return v, isNumber(patch)
}

// isNumber tells whether s is a SemVer number: digits, no leading zero.
func isNumber(s string) bool {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isBuild tells whether s is SemVer build metadata: dot-separated words of letters, digits and hyphens.
func isBuild(s string) bool {
	for word := range strings.SplitSeq(s, ".") {
		if word == "" {
			return false
		}
		for _, c := range word {
			if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}
