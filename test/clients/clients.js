// The clients under test, as their authors publish them, and how the tests hold them.
"use strict"

const { WebSocket } = require("ws")
const { within } = require("./process.js")

// clients says what each version can do. README.md says which cases follow from that.
const clients = [
  { version: "1.2.1", vsn: "1.0.0" },
  { version: "1.7.21", vsn: "2.0.0", binary: true, retriesJoin: true, heartbeatTimeout: true, staysAway: true },
  { version: "1.8.16", vsn: "2.0.0", binary: true, retriesJoin: true, heartbeatTimeout: true, binaryUTF8: true, authToken: true },
]
for (const client of clients) client.phoenix = require(`phoenix-${client.version}`)

// tapped returns a WebSocket class that notes what passes into frames, and how connections ended into closes. It is a stock
// ws otherwise.
function tapped(taps) {
  return class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols)
      this.addEventListener("open", () => taps.opens++)
      this.addEventListener("message", ({ data }) => taps.received.push(data))
      this.addEventListener("close", ({ code, reason }) => taps.closes.push({ code, reason }))
    }

    send(data, ...rest) {
      taps.sent.push(data)
      return super.send(data, ...rest)
    }

    close(code, reason) {
      taps.closed.push({ code, reason })
      return super.close(code, reason)
    }
  }
}

// open connects a client, which ends with the test. The socket has taps: opens (a number), sent, received, closes (close
// events) and closed (what the client itself asked for).
function open(t, client, url, options = {}) {
  const taps = { opens: 0, sent: [], received: [], closes: [], closed: [] }
  const socket = new client.phoenix.Socket(url, { transport: tapped(taps), ...options })
  socket.taps = taps
  const channels = socket.channels
  t.after(() => {
    socket.disconnect()
    // Version 1.2.1 leaves its timers running.
    socket.reconnectTimer.reset()
    clearInterval(socket.heartbeatTimer)
    for (const channel of new Set([...channels, ...socket.channels])) channel.rejoinTimer.reset()
  })
  socket.connect()
  return socket
}

// answer waits for the answer to a push or a join.
function answer(push) {
  const answered = new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve({ status, response }))
  })
  return within(60000, `an answer to ${push.event}`, answered)
}

// joined joins and returns the reply. It throws if the join is refused.
async function joined(channel) {
  const { status, response } = await answer(channel.join())
  if (status !== "ok") throw new Error(`join of ${channel.topic}: ${status} ${JSON.stringify(response)}`)
  return response
}

// collect returns the list of payloads that an event brings from now on.
function collect(channel, event) {
  const payloads = []
  channel.on(event, (payload) => payloads.push(payload))
  return payloads
}

// joinsSent counts the phx_join frames that a socket sent for a topic.
function joinsSent(socket, topic) {
  const isJoin = (frame) => typeof frame === "string" && frame.includes('"phx_join"') && frame.includes(`"${topic}"`)
  return socket.taps.sent.filter(isJoin).length
}

module.exports = { answer, clients, collect, joined, joinsSent, open }
