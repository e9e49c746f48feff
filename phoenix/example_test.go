package phoenix_test

import (
	"fmt"

	"roost/phoenix"
)

func ExampleVersion_Decode() {
	m, err := phoenix.V2.Decode([]byte(`["3","3","rooms:lobby","phx_join",{"since": 1.0}]`), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s %s, payload %s\n", m.Event, m.Topic, m.Ref, m.Payload)
	fmt.Printf("%s\n", phoenix.V2.AppendReply(nil, m.JoinRef, m.Ref, m.Topic, phoenix.StatusOK, nil))
	// Output:
	// phx_join rooms:lobby "3", payload {"since": 1.0}
	// ["3","3","rooms:lobby","phx_reply",{"status":"ok","response":{}}]
}

func ExampleVersion_AppendBroadcast() {
	payload := []byte(`{"body":"hi"}`)
	fmt.Printf("%s\n", phoenix.V1.AppendBroadcast(nil, "rooms:lobby", "new:msg", payload))
	fmt.Printf("%s\n", phoenix.V2.AppendBroadcast(nil, "rooms:lobby", "new:msg", payload))
	// Output:
	// {"topic":"rooms:lobby","event":"new:msg","payload":{"body":"hi"},"ref":null}
	// [null,null,"rooms:lobby","new:msg",{"body":"hi"}]
}

func ExampleParseVersion() {
	for _, vsn := range []string{"1.0.0", "2.0.5", "2.0", "3.0.0"} {
		v, ok := phoenix.ParseVersion(vsn)
		fmt.Println(vsn, ok, ok && v == phoenix.V2)
	}
	// Output:
	// 1.0.0 true false
	// 2.0.5 true true
	// 2.0 false false
	// 3.0.0 false false
}

func ExampleAppendBinaryBroadcast() {
	frame, err := phoenix.AppendBinaryBroadcast(nil, "room:bin", "bin", []byte{0xff, 0})
	fmt.Printf("%q %v\n", frame, err)
	// Output: "\x02\b\x03room:binbin\xff\x00" <nil>
}
