// Command go is a chat behind Roost, with net/http.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type object = map[string]any

func answer(call object) object {
	data, _ := call["data"].(object)
	text := func(in, key string) string { o, _ := data[in].(object); s, _ := o[key].(string); return s }
	nick, body := text("assigns", "nick"), text("payload", "body")
	switch name := text("params", "nick"); {
	case call["type"] == "socket.connect" && name != "": // a real one looks at auth_token
		return object{"status": "ok", "id": "user:" + name, "assigns": object{"nick": name}}
	case call["type"] == "channel.join" && data["topic"] != "rooms:secret" && nick != "":
		return object{"status": "ok", "presence": object{"key": nick}}
	case call["type"] == "channel.push" && data["event"] == "new_msg" && body != "":
		return object{"status": "ok", "broadcast": []object{{"event": "new_msg", "payload": object{"nick": nick, "body": body}}}}
	case call["type"] == "channel.leave":
		log.Println(nick, "left", data["topic"], data["reason"])
	}
	return object{"status": "error", "response": object{"reason": "members only"}}
}

func main() {
	roost, err := standardwebhooks.NewWebhook(os.Getenv("ROOST_WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call object
		if body, err := io.ReadAll(r.Body); err != nil || roost.Verify(body, r.Header) != nil || json.Unmarshal(body, &call) != nil {
			w.WriteHeader(http.StatusUnauthorized)
		} else {
			json.NewEncoder(w).Encode(answer(call))
		}
	})))
}
