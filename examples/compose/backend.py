"""A chat as a backend of Roost, with Python's standard library alone: who may join, and what becomes of a message."""
import base64, hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["ROOST_WEBHOOK_SECRET"].removeprefix("whsec_"))


def signed(headers, body):
    """Tells whether Roost sent this, and within the last five minutes (Standard Webhooks)."""
    stamp = headers.get("webhook-timestamp", "0")
    text = f'{headers.get("webhook-id")}.{stamp}.'.encode() + body
    want = "v1," + base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
    known = any(hmac.compare_digest(want, s) for s in headers.get("webhook-signature", "").split())
    return known and abs(time.time() - int(stamp)) < 300


def answer(call):
    data = call["data"]
    if call["type"] == "channel.join":
        allowed = data["topic"].startswith("rooms:") and data["topic"] != "rooms:secret"
        return {"status": "ok"} if allowed else {"status": "error", "response": {"reason": "unauthorized"}}
    if call["type"] == "channel.push":
        return {"status": "ok", "broadcast": [{"event": data["event"], "payload": data["payload"]}]}
    return {}  # a notice: somebody has left


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        valid = signed(self.headers, body)
        reply = json.dumps(answer(json.loads(body))).encode() if valid else b"{}"
        self.send_response(200 if valid else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Backend).serve_forever()
