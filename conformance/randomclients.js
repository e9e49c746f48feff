// Many phoenix.js clients with Presence in one process, told by lines of JSON on standard input what to do. Every line is answered
// by one on standard output.
"use strict"

const path = require("node:path")
const readline = require("node:readline")
const { createRequire } = require("node:module")
const load = createRequire(path.join(__dirname, "../test/clients/package.json"))
const { Socket, Presence } = load("phoenix-1.8.16")
const { WebSocket } = load("ws")

const clients = new Map()
let joins = 0
const allowed = [] // numbers of the joins that were answered ok

function join(client, { topic, key, d }) {
  const shown = { key, meta: { d } }
  let join
  const channel = client.socket.channel(topic, () => {
    join = ++joins // each try has a number of its own
    return key ? { join, key: shown.key, meta: { ...shown.meta } } : { join }
  })
  const entry = { channel, shown, trace: [], presence: new Presence(channel) }
  channel.onMessage = (event, payload, ref) => {
    entry.trace.push([new Date().toISOString(), channel.joinRef(), event, ref, payload])
    if (entry.trace.length > 300) entry.trace.shift()
    return payload
  }
  channel.join().receive("ok", ({ got }) => allowed.push(got.join))
  client.topics.set(topic, entry)
}

const verbs = {
  open({ client, url }) {
    // A heartbeat that a frozen pod does not answer in time has phoenix.js close with 1000, as the pod never should.
    const socket = new Socket(url, { transport: WebSocket, heartbeatIntervalMs: 15000 })
    const codes = {}
    socket.onClose(event => { codes[event.code] = (codes[event.code] || 0) + 1 })
    socket.connect()
    clients.set(client, { socket, codes, topics: new Map() })
  },
  join(order) { join(clients.get(order.client), order) },
  leave({ client, topic }) {
    clients.get(client).topics.get(topic).channel.leave()
    clients.get(client).topics.delete(topic)
  },
  update({ client, topic, d }) {
    const entry = clients.get(client).topics.get(topic)
    entry.shown.meta.d = d
    entry.channel.push("pres_update", { key: entry.shown.key, meta: { d } })
  },
  drop({ client }) { clients.get(client).socket.conn?.terminate?.() },
  close({ client }) {
    clients.get(client).socket.disconnect()
    clients.delete(client)
  },
  trace({ client, topic }) { return clients.get(client).topics.get(topic).trace },
  allowed() { return allowed },
  state() {
    const all = {}
    for (const [name, { topics, codes }] of clients) {
      all[name] = { codes, topics: {} }
      for (const [topic, { channel, presence }] of topics) {
        const list = {}
        presence.list((key, { metas }) => { list[key] = metas.map(m => m.d).sort() })
        all[name].topics[topic] = { state: channel.state, list }
      }
    }
    return all
  },
}

readline.createInterface({ input: process.stdin }).on("line", line => {
  const order = JSON.parse(line)
  process.stdout.write(JSON.stringify(verbs[order.do](order) ?? {}) + "\n")
}).on("close", () => process.exit(0))
