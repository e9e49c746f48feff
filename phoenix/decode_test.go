package phoenix_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"roost/phoenix"
)

func message(joinRef, ref phoenix.Ref, topic, event, payload string) phoenix.Message {
	return phoenix.Message{JoinRef: joinRef, Ref: ref, Topic: topic, Event: event, Payload: []byte(payload)}
}

func checkDecode(t *testing.T, v phoenix.Version, binary bool, frame string, want phoenix.Message) {
	t.Helper()
	got, err := v.Decode([]byte(frame), binary)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Decode(%q) = %+v, %v, want %+v", frame, got, err, want)
	}
}

func checkMalformed(t *testing.T, v phoenix.Version, binary bool, frame string) {
	t.Helper()
	if got, err := v.Decode([]byte(frame), binary); !errors.Is(err, phoenix.ErrMalformed) {
		t.Errorf("Decode(%.300q) = %+v, %v, want ErrMalformed", frame, got, err)
	}
}

func TestDecodeV2(t *testing.T) {
	ref255 := `"` + strings.Repeat("r", phoenix.MaxRefSize-2) + `"`
	for name, c := range map[string]struct {
		frame string
		want  phoenix.Message
	}{
		"P1 heartbeat":             {`[null,"1","phoenix","heartbeat",{}]`, message("", `"1"`, "phoenix", "heartbeat", "{}")},
		"P2 null ref":              {`["9",null,"phoenix","heartbeat",{}]`, message(`"9"`, "", "phoenix", "heartbeat", "{}")},
		"P3 ref is a number":       {`[null,7,"phoenix","heartbeat",null]`, message("", "7", "phoenix", "heartbeat", "null")},
		"P4 empty join_ref":        {`["","1","phoenix","heartbeat",null]`, message(`""`, `"1"`, "phoenix", "heartbeat", "null")},
		"P6 join":                  {`["1","1","room:a","phx_join",{"x":1}]`, message(`"1"`, `"1"`, "room:a", "phx_join", `{"x":1}`)},
		"P11 empty topic":          {`["2","2","","phx_join",{}]`, message(`"2"`, `"2"`, "", "phx_join", "{}")},
		"P13 null join_ref":        {`[null,"4","room:a","phx_leave",{}]`, message("", `"4"`, "room:a", "phx_leave", "{}")},
		"P15 both refs numbers":    {`[1,2,"room:a","ok",{}]`, message("1", "2", "room:a", "ok", "{}")},
		"P39 payload is a string":  {`["1","2","t","echo","str"]`, message(`"1"`, `"2"`, "t", "echo", `"str"`)},
		"P39 payload is an array":  {`["1","2","t","echo",[1, 2]]`, message(`"1"`, `"2"`, "t", "echo", `[1, 2]`)},
		"P39 payload is a number":  {`["1","2","t","echo",5]`, message(`"1"`, `"2"`, "t", "echo", `5`)},
		"P52 extra elements":       {`[null,"1","phoenix","heartbeat",{},"x",{"y":[]}]`, message("", `"1"`, "phoenix", "heartbeat", "{}")},
		"P52 white space":          {" [\tnull\n,\r\"1\" , \"phoenix\",\"heartbeat\" , { } ]\r\n", message("", `"1"`, "phoenix", "heartbeat", "{ }")},
		"P64 topic is not ASCII":   {"[\"1\",\"1\",\"room:ü/&<>\u2028\",\"phx_join\",{}]", message(`"1"`, `"1"`, "room:ü/&<>\u2028", "phx_join", "{}")},
		"escapes in names":         {`["1","1","r\u00fc\/\"\\\n\ud83d\ude00","\u0070hx_join",{}]`, message(`"1"`, `"1"`, "rü/\"\\\n😀", "phx_join", "{}")},
		"escape in a ref stays":    {`["\u0031","1","t","e",{}]`, message(`"\u0031"`, `"1"`, "t", "e", "{}")},
		"refs of any type":         {`[[1, 2],{"a":null},"t","e",{}]`, message(`[1, 2]`, `{"a":null}`, "t", "e", "{}")},
		"refs are booleans":        {`[false,true,"t","e",{}]`, message(`false`, `true`, "t", "e", "{}")},
		"longest refs":             {`[` + ref255 + `,` + ref255 + `,"t","e",{}]`, message(phoenix.Ref(ref255), phoenix.Ref(ref255), "t", "e", "{}")},
		"big numbers stay":         {`["1","1","t","e",{"big":123456789012345678901234567890,"f":1.0}]`, message(`"1"`, `"1"`, "t", "e", `{"big":123456789012345678901234567890,"f":1.0}`)},
		"leave":                    {`["5","7","room:a","phx_leave",{}]`, message(`"5"`, `"7"`, "room:a", "phx_leave", "{}")},
		"server event by a client": {`["5","7","room:a","phx_close",{}]`, message(`"5"`, `"7"`, "room:a", "phx_close", "{}")},
		"P55 topic is a number":    {`[null,"1",5,"phx_join",{}]`, phoenix.Message{Ref: `"1"`, NoTopic: []byte("5"), Event: "phx_join", Payload: []byte("{}")}},
		"topic is null":            {`[null,"1",null,"phx_join",{}]`, phoenix.Message{Ref: `"1"`, NoTopic: []byte("null"), Event: "phx_join", Payload: []byte("{}")}},
		"event is an object":       {`[null,"1","t",{"a":1},{}]`, phoenix.Message{Ref: `"1"`, Topic: "t", NoEvent: true, Payload: []byte("{}")}},
		"nothing is a string":      {`[null,null,[],false,null]`, phoenix.Message{NoTopic: []byte("[]"), NoEvent: true, Payload: []byte("null")}},
	} {
		t.Run(name, func(t *testing.T) { checkDecode(t, phoenix.V2, false, c.frame, c.want) })
	}
}

func TestDecodeV2Malformed(t *testing.T) {
	long := `"` + strings.Repeat("r", phoenix.MaxRefSize-1) + `"`
	for name, frame := range map[string]string{
		"P53 four elements":          `[null,"1","phoenix","heartbeat"]`,
		"P53 an object":              `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}`,
		"P53 not JSON":               `{bad`,
		"P53 empty":                  ``,
		"only white space":           " \n",
		"open brace":                 `{`,
		"empty array":                `[]`,
		"a string":                   `"x"`,
		"trailing comma":             `[null,"1","t","e",{},]`,
		"trailing bytes":             `[null,"1","t","e",{}] x`,
		"two frames":                 `[null,"1","t","e",{}][null,"1","t","e",{}]`,
		"cut off":                    `[null,"1","t","e",{}`,
		"bad payload":                `[null,"1","t","e",{"a":01}]`,
		"bad element behind":         `[null,"1","t","e",{},nul]`,
		"control character in topic": "[null,\"1\",\"t\n\",\"e\",{}]",
		"half a surrogate in topic":  `[null,"1","\ud83d","e",{}]`,
		"half a surrogate in event":  `[null,"1","t","\ude00x",{}]`,
		"long join_ref":              `[` + long + `,"1","t","e",{}]`,
		"long ref":                   `["1",` + long + `,"t","e",{}]`,
		"too deep":                   `["1","1","t","e",` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `]`,
	} {
		t.Run(name, func(t *testing.T) { checkMalformed(t, phoenix.V2, false, frame) })
	}
}

func TestDecodeV1(t *testing.T) {
	for name, c := range map[string]struct {
		frame string
		want  phoenix.Message
	}{
		"W1 heartbeat, null ref": {`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":null}`, message("", "", "phoenix", "heartbeat", "{}")},
		"W2 heartbeat":           {`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}`, message("", `"1"`, "phoenix", "heartbeat", "{}")},
		"W3 join":                {`{"topic":"rooms:lobby","event":"phx_join","payload":{"after":true},"ref":"1"}`, message("", `"1"`, "rooms:lobby", "phx_join", `{"after":true}`)},
		"W5 with join_ref":       {`{"topic":"t","event":"phx_leave","payload":{},"ref":"5","join_ref":"7"}`, message(`"7"`, `"5"`, "t", "phx_leave", "{}")},
		"null join_ref":          {`{"topic":"t","event":"e","payload":{},"ref":"5","join_ref":null}`, message("", `"5"`, "t", "e", "{}")},
		"other order":            {`{"ref":1,"payload":null,"event":"e","topic":"t"}`, message("", "1", "t", "e", "null")},
		"unknown keys":           {`{"topic":"t","event":"e","payload":{},"ref":"5","x":{"topic":"no"},"Topic":"no"}`, message("", `"5"`, "t", "e", "{}")},
		"white space":            {" { \"topic\" : \"t\" , \"event\":\"e\",\n\"payload\":{ },\"ref\":\"5\" } ", message("", `"5"`, "t", "e", "{ }")},
		"the last of a key wins": {`{"topic":"no","topic":"t","event":"e","payload":{},"ref":"5"}`, message("", `"5"`, "t", "e", "{}")},
		"escaped key":            {`{"top\u0069c":"t","event":"e","payload":{},"ref":"5"}`, message("", `"5"`, "t", "e", "{}")},
		"topic is not a string":  {`{"topic":5,"event":null,"payload":{},"ref":"5"}`, phoenix.Message{Ref: `"5"`, NoTopic: []byte("5"), NoEvent: true, Payload: []byte("{}")}},
	} {
		t.Run(name, func(t *testing.T) {
			checkDecode(t, phoenix.V1, false, c.frame, c.want)
			checkDecode(t, phoenix.V1, true, c.frame, c.want) // W12: V1 reads a binary frame as text
		})
	}
}

func TestDecodeV1Malformed(t *testing.T) {
	for name, frame := range map[string]string{
		"W11 no ref":                `{"topic":"t","event":"e","payload":{}}`,
		"W11 no payload":            `{"topic":"t","event":"e","ref":"1"}`,
		"W11 an array":              `["1","1","t","e",{}]`,
		"no topic":                  `{"event":"e","payload":{},"ref":"1"}`,
		"no event":                  `{"topic":"t","payload":{},"ref":"1"}`,
		"empty object":              `{}`,
		"empty":                     ``,
		"null":                      `null`,
		"trailing bytes":            `{"topic":"t","event":"e","payload":{},"ref":"1"}}`,
		"trailing comma":            `{"topic":"t","event":"e","payload":{},"ref":"1",}`,
		"bad unknown key":           `{"topic":"t","event":"e","payload":{},"ref":"1","x":tru}`,
		"long join_ref":             `{"topic":"t","event":"e","payload":{},"ref":"1","join_ref":"` + strings.Repeat("x", 254) + `"}`,
		"half a surrogate in topic": `{"topic":"\ud83d","event":"e","payload":{},"ref":"1"}`,
		"binary push":               "\x00\x01\x01\x01\x0111tedata",
	} {
		t.Run(name, func(t *testing.T) {
			checkMalformed(t, phoenix.V1, false, frame)
			checkMalformed(t, phoenix.V1, true, frame)
		})
	}
}

// clientPush is a binary push as phoenix.js lays it out.
func clientPush(joinRef, ref, topic, event, data string) string {
	return string([]byte{0, byte(len(joinRef)), byte(len(ref)), byte(len(topic)), byte(len(event))}) + joinRef + ref + topic + event + data
}

func TestDecodeBinary(t *testing.T) {
	long := strings.Repeat("é", 127) + "x" // 255 bytes
	for name, c := range map[string]struct {
		frame string
		want  phoenix.Message
	}{
		"B1 section 2.3":        {"\x00\x02\x01\x08\x03112room:binbin\x01\x02", message(`"11"`, `"2"`, "room:bin", "bin", "\x01\x02")},
		"B2 empty data":         {clientPush("11", "2", "room:bin", "bin", ""), message(`"11"`, `"2"`, "room:bin", "bin", "")},
		"B5 empty join_ref":     {clientPush("", "2", "t", "e", "d"), message(`""`, `"2"`, "t", "e", "d")},
		"B6 heartbeat":          {clientPush("", "9", "phoenix", "heartbeat", "\x00"), message(`""`, `"9"`, "phoenix", "heartbeat", "\x00")},
		"B7 not joined":         {"\x00\x01\x01\x0b\x0312room:nojoinbinx", message(`"1"`, `"2"`, "room:nojoin", "bin", "x")},
		"B13 bytes of UTF-8":    {"\x00\x01\x01\x0a\x0112room:caféed", message(`"1"`, `"2"`, "room:café", "e", "d")},
		"all empty":             {"\x00\x00\x00\x00\x00", message(`""`, `""`, "", "", "")},
		"255 bytes each":        {clientPush(long, long, long, long, "d"), message(phoenix.StringRef(long), phoenix.StringRef(long), long, long, "d")},
		"refs are quoted":       {clientPush(`a"\`, "\n", "t", "e", "d"), message(`"a\"\\"`, `"\n"`, "t", "e", "d")},
		"join":                  {clientPush("3", "3", "room:a", "phx_join", "{}"), message(`"3"`, `"3"`, "room:a", "phx_join", "{}")},
		"data is any bytes":     {clientPush("3", "3", "t", "e", "\xff\xfe\x00"), message(`"3"`, `"3"`, "t", "e", "\xff\xfe\x00")},
		"ref null is a string":  {clientPush("null", "1", "t", "e", ""), message(`"null"`, `"1"`, "t", "e", "")},
		"data may look like V2": {clientPush("3", "3", "t", "e", `["1"]`), message(`"3"`, `"3"`, "t", "e", `["1"]`)},
	} {
		c.want.Binary = true
		t.Run(name, func(t *testing.T) { checkDecode(t, phoenix.V2, true, c.frame, c.want) })
	}
}

func TestDecodeBinaryMalformed(t *testing.T) {
	for name, frame := range map[string]string{
		"B8 truncated":           "\x00\x05\x05\x05\x05abc",
		"B8 empty":               "",
		"B9 V2 text":             `[null,"1","phoenix","heartbeat",{}]`,
		"join_ref is not UTF-8":  clientPush("\xff", "1", "t", "e", ""),
		"ref is not UTF-8":       clientPush("1", "\xc3", "t", "e", ""),
		"topic is not UTF-8":     clientPush("1", "1", "room:caf\xe9", "e", ""),
		"event is not UTF-8":     clientPush("1", "1", "t", "\xed\xa0\x80", ""),
		"a character cut in two": "\x00\x01\x01\x01\x0211é!data",
	} {
		t.Run(name, func(t *testing.T) { checkMalformed(t, phoenix.V2, true, frame) })
	}
	good := clientPush("11", "2", "room:bin", "bin", "")
	for kind := 1; kind < 256; kind++ {
		checkMalformed(t, phoenix.V2, true, string([]byte{byte(kind)})+good[1:])
	}
	for n := range len(good) {
		checkMalformed(t, phoenix.V2, true, good[:n])
	}
}

func TestIsHeartbeat(t *testing.T) {
	for frame, want := range map[string]bool{
		`[null,"1","phoenix","heartbeat",{}]`:  true,
		`["9",null,"phoenix","heartbeat",5]`:   true,
		`[null,"1","phoenix","foo",{}]`:        false,
		`[null,"1","room:a","heartbeat",{}]`:   false,
		`[null,"1",["phoenix"],"heartbeat",5]`: false,
	} {
		m, err := phoenix.V2.Decode([]byte(frame), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.IsHeartbeat(); got != want {
			t.Errorf("IsHeartbeat of %s = %v, want %v", frame, got, want)
		}
	}
}

// What was decoded may be kept when the frame's buffer is used again, but for the payload.
func TestDecodedNamesAreCopies(t *testing.T) {
	for _, c := range []struct {
		frame  string
		binary bool
	}{{`["11","2","room:a","msg",{}]`, false}, {clientPush("11", "2", "room:a", "msg", "{}"), true}} {
		buffer := []byte(c.frame)
		m, err := phoenix.V2.Decode(buffer, c.binary)
		if err != nil {
			t.Fatal(err)
		}
		clear(buffer)
		got := fmt.Sprintf("%s %s %s %s", m.JoinRef, m.Ref, m.Topic, m.Event)
		if want := `"11" "2" room:a msg`; got != want {
			t.Errorf("got %q after the buffer changed, want %q", got, want)
		}
	}
}
