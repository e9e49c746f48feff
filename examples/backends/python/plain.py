"""A chat behind Roost, with Python's standard library alone."""
import base64, hmac, json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["ROOST_WEBHOOK_SECRET"].removeprefix("whsec_"))

def signed(headers, body):  # Standard Webhooks: by Roost, and within five minutes
    stamp, given = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    text = f"{headers.get('webhook-id')}.{stamp}.".encode() + body
    want = b"v1," + base64.b64encode(hmac.digest(KEY, text, "sha256"))
    known = any(hmac.compare_digest(want, s.encode()) for s in given.split())
    return known and abs(time.time() - int(stamp)) < 300

def answer(call):
    match call["type"], call["data"]:
        case "socket.connect", {"params": {"nick": str(nick)}} if nick:  # a real one looks at auth_token
            return {"status": "ok", "id": f"user:{nick}", "assigns": {"nick": nick}}
        case "channel.join", {"topic": topic, "assigns": {"nick": nick}} if topic != "rooms:secret":
            return {"status": "ok", "presence": {"key": nick}}
        case "channel.push", {"event": "new_msg", "payload": {"body": str(body)}, "assigns": {"nick": nick}}:
            return {"status": "ok", "broadcast": [{"event": "new_msg", "payload": {"nick": nick, "body": body}}]}
        case "channel.leave", {"topic": topic, "reason": reason, "assigns": {"nick": nick}}:
            print(nick, "left", topic, reason, file=sys.stderr)
    return {"status": "error", "response": {"reason": "members only"}}

class Chat(BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1  # keeps connections; writes once

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        valid = signed(self.headers, body)
        reply = json.dumps(answer(json.loads(body))).encode() if valid else b""
        self.send_response(200 if valid else 401)
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 3000))), Chat).serve_forever()
