"""A chat behind Roost, with Flask."""
import os, sys
from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
roost = Webhook(os.environ["ROOST_WEBHOOK_SECRET"])

@app.post("/roost")
def webhook():
    try:
        call = roost.verify(request.get_data(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: a header that is no base64
        return "", 401
    return answers.get(call["type"], lambda data: {})(call["data"])

def connect(data):  # a real one looks at data["auth_token"]
    nick = data["params"].get("nick")
    if not nick or not isinstance(nick, str):
        return {"status": "error", "response": {"reason": "who are you?"}}
    return {"status": "ok", "id": f"user:{nick}", "assigns": {"nick": nick}}

def join(data):
    if not (nick := data["assigns"].get("nick")) or data["topic"] == "rooms:secret":
        return {"status": "error", "response": {"reason": "members only"}}
    return {"status": "ok", "presence": {"key": nick}}

def push(data):
    match data:
        case {"event": "new_msg", "payload": {"body": str(body)}, "assigns": {"nick": nick}}:
            return {"status": "ok", "broadcast": [{"event": "new_msg", "payload": {"nick": nick, "body": body}}]}
    return {"status": "error", "response": {"reason": "not a message"}}

def leave(data):
    print(data["assigns"].get("nick"), "left", data["topic"], data["reason"], file=sys.stderr)
    return {}

answers = {"socket.connect": connect, "channel.join": join, "channel.push": push, "channel.leave": leave}
if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", 3000)))
