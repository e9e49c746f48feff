package phoenix_test

import (
	"errors"
	"strings"
	"testing"

	"roost/phoenix"
)

func TestAppendBinary(t *testing.T) {
	const before = "kept as it is"
	most := strings.Repeat("é", 127) + "x"
	for name, c := range map[string]struct {
		call func(dst []byte) ([]byte, error)
		want string
	}{
		"B1 push has four header bytes and no ref": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryPush(d, `"11"`, "room:bin", "bin_push", []byte{0, 1})
		}, "\x00\x02\x08\x0811room:binbin_push\x00\x01"},
		"B1 section 2.3 reply": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryReply(d, `"11"`, `"2"`, "room:bin", "ok", []byte{1, 2, 3, 4})
		}, "\x01\x02\x01\x08\x02112room:binok\x01\x02\x03\x04"},
		"B3 error reply": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryReply(d, `"11"`, `"2"`, "room:bin", "error", []byte{7})
		}, "\x01\x02\x01\x08\x05112room:binerror\x07"},
		"B4 broadcast": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryBroadcast(d, "room:bin", "bin_bcast", []byte{0xff, 0})
		}, "\x02\x08\x09room:binbin_bcast\xff\x00"},
		"null refs have length 0": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryReply(d, "", "", "t", "ok", nil)
		}, "\x01\x00\x00\x01\x02tok"},
		"a ref that is a number": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryReply(d, "12", "3", "t", "ok", nil)
		}, "\x01\x02\x01\x01\x02123tok"},
		"escapes in refs are undone": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryReply(d, `"\u0031\n"`, `"\"\\"`, "t", "ok", nil)
		}, "\x01\x02\x02\x01\x021\n\"\\tok"},
		"an empty ref that is a string": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryPush(d, `""`, "t", "e", nil)
		}, "\x00\x00\x01\x01te"},
		"B13 lengths in bytes of UTF-8": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryBroadcast(d, "room:café", "é", nil)
		}, "\x02\x0a\x02room:caféé"},
		"all empty": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryBroadcast(d, "", "", nil)
		}, "\x02\x00\x00"},
		"255 bytes each": {func(d []byte) ([]byte, error) {
			return phoenix.AppendBinaryReply(d, phoenix.StringRef(most), phoenix.StringRef(most), most, most, []byte("d"))
		}, "\x01\xff\xff\xff\xff" + most + most + most + most + "d"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.call([]byte(before))
			if err != nil || string(got) != before+c.want {
				t.Errorf("got %q, %v, want %q behind %q", got, err, c.want, before)
			}
		})
	}
}

// B12: a field of 256 bytes is an error and leaves dst as it was.
func TestAppendBinaryTooLong(t *testing.T) {
	long := strings.Repeat("é", 128)
	ref := phoenix.StringRef(long)
	for name, call := range map[string]func(dst []byte) ([]byte, error){
		"join_ref of a push":   func(d []byte) ([]byte, error) { return phoenix.AppendBinaryPush(d, ref, "t", "e", nil) },
		"topic of a push":      func(d []byte) ([]byte, error) { return phoenix.AppendBinaryPush(d, "", long, "e", nil) },
		"event of a push":      func(d []byte) ([]byte, error) { return phoenix.AppendBinaryPush(d, "", "t", long, nil) },
		"join_ref of a reply":  func(d []byte) ([]byte, error) { return phoenix.AppendBinaryReply(d, ref, "1", "t", "ok", nil) },
		"ref of a reply":       func(d []byte) ([]byte, error) { return phoenix.AppendBinaryReply(d, "1", ref, "t", "ok", nil) },
		"topic of a reply":     func(d []byte) ([]byte, error) { return phoenix.AppendBinaryReply(d, "1", "1", long, "ok", nil) },
		"status of a reply":    func(d []byte) ([]byte, error) { return phoenix.AppendBinaryReply(d, "1", "1", "t", long, nil) },
		"topic of a broadcast": func(d []byte) ([]byte, error) { return phoenix.AppendBinaryBroadcast(d, long, "e", nil) },
		"event of a broadcast": func(d []byte) ([]byte, error) { return phoenix.AppendBinaryBroadcast(d, "t", long, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			got, err := call([]byte("kept"))
			if !errors.Is(err, phoenix.ErrTooLong) || string(got) != "kept" {
				t.Errorf("got %q, %v, want \"kept\", ErrTooLong", got, err)
			}
		})
	}
}
