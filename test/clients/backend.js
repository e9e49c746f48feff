// The backend of the tests, a process of its own as users have one: it checks signatures, answers webhook calls, and writes
// each call as a line of JSON to stdout.
"use strict"

const http = require("node:http")
const { setTimeout: sleep } = require("node:timers/promises")
const { Webhook } = require("standardwebhooks")

const verifier = new Webhook(process.env.SECRET)

const ok = (response = {}) => ({ status: "ok", response })

function connect({ params, auth_token: token }) {
  return { status: "ok", id: params.user ? `user:${params.user}` : undefined, assigns: { token } }
}

function join({ topic, payload }) {
  if (topic.startsWith("refused:")) return { status: "error", response: { reason: "members only" } }
  if (!topic.startsWith("rooms:")) return { status: "error", response: { reason: "no such room" } }
  const presence = payload.key && { key: payload.key, meta: payload.meta }
  return { ...ok({ welcome: payload.name ?? null }), ...(presence && { presence }) }
}

const events = {
  "echo": ({ payload, payload_base64: bytes }) =>
    bytes === undefined ? ok(payload) : { status: "ok", response_base64: bytes },
  "fail": ({ payload }) => ({ status: "error", response: payload }),
  "new:msg": ({ payload }) => ({ ...ok(), broadcast: [{ event: "new:msg", payload }] }),
  "whoami": ({ connection, assigns }) => ok({ connection, assigns }),
  "crash": () => ({ stop: "error" }),
  "close": () => ({ stop: "close" }),
  "show": ({ payload }) => ({ ...ok(), presence: payload }),
  "hide": () => ({ ...ok(), presence: null }),
  "bytes": ({ payload_base64: bytes }) => ({ ...ok(), push: [{ event: "bytes", payload_base64: bytes }] }),
}

function answer({ type, data }) {
  switch (type) {
    case "socket.connect": return connect(data)
    case "channel.join": return join(data)
    case "channel.push": return events[data.event](data)
    default: return {}
  }
}

const server = http.createServer(async (request, response) => {
  let body = ""
  for await (const chunk of request.setEncoding("utf8")) body += chunk
  let call
  try {
    call = verifier.verify(body, request.headers)
  } catch {
    console.log(JSON.stringify({ type: "unsigned", data: {} }))
    response.writeHead(401).end()
    return
  }
  console.log(JSON.stringify(call))
  if (call.type === "channel.join" && call.data.topic.startsWith("rooms:slow")) await sleep(2000)
  response.setHeader("content-type", "application/json").end(JSON.stringify(answer(call)))
})
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })))
