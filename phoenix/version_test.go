package phoenix_test

import (
	"testing"

	"roost/phoenix"
)

func TestParseVersion(t *testing.T) {
	for _, c := range []struct {
		vsn  string
		want phoenix.Version
	}{
		{"1.0.0", phoenix.V1}, // H3
		{"1.0.7", phoenix.V1}, // H3
		{"2.0.5", phoenix.V2}, // H3
		{"2.0.0", phoenix.V2},
		{"2.0.10", phoenix.V2},
		{"1.0.123456789012345678901234567890", phoenix.V1},
		{"2.0.0+build.5", phoenix.V2},
		{"2.0.0+A-z.09", phoenix.V2},
	} {
		if got, ok := phoenix.ParseVersion(c.vsn); got != c.want || !ok {
			t.Errorf("ParseVersion(%q) = %d, %v, want %d, true", c.vsn, got, ok, c.want)
		}
	}
}

func TestParseVersionRefuses(t *testing.T) {
	for _, vsn := range []string{
		"3.0.0", "2.1.0", "123.1.1", // H4
		"2", "2.0", "", "v2.0.0", "2.0.0-rc.1", // H5
		"1.1.0", "0.9.0", "2.0.", "2.0.0.0", "2.0.00", "2.0.01", "02.0.0", "2.00.0", "2.0.x", "2.0.-1", "2.0.٣",
		" 2.0.0", "2.0.0 ", "2.0.0\n", "2.0.0+", "2.0.0+a..b", "2.0.0+a_b", "2.0.0+a+b", "2.0.0-rc.1+b", "2.0+b", "+", "2.0.0+é",
	} {
		if got, ok := phoenix.ParseVersion(vsn); ok {
			t.Errorf("ParseVersion(%q) = %d, true, want it refused", vsn, got)
		}
	}
}
