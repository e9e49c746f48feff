// A chat behind Roost, with Express.
import express from "express"
import {Webhook} from "standardwebhooks"

const roost = new Webhook(process.env.ROOST_WEBHOOK_SECRET)
const app = express()

const answers = {
  "socket.connect"({params: {nick}}) { // a real one looks at auth_token
    if (!nick || typeof nick !== "string") return {status: "error", response: {reason: "who are you?"}}
    return {status: "ok", id: `user:${nick}`, assigns: {nick}}
  },
  "channel.join"({topic, assigns: {nick}}) {
    if (!nick || topic === "rooms:secret") return {status: "error", response: {reason: "members only"}}
    return {status: "ok", presence: {key: nick}}
  },
  "channel.push"({event, payload, assigns: {nick}}) {
    if (event !== "new_msg" || typeof payload?.body !== "string") return {status: "error", response: {reason: "not a message"}}
    return {status: "ok", broadcast: [{event, payload: {nick, body: payload.body}}]}
  },
  "channel.leave"({topic, reason, assigns: {nick}}) {
    console.error(nick, "left", topic, reason)
  },
}

// The signature is that of the bytes, so they must not be parsed before.
app.post("/roost", express.raw({type: () => true, limit: "10mb"}), (request, response) => {
  let call
  try {
    call = roost.verify(request.body, request.headers)
  } catch {
    return response.sendStatus(401)
  }
  response.json(answers[call.type]?.(call.data) ?? {})
})

app.listen(process.env.PORT ?? 3000, "127.0.0.1")
