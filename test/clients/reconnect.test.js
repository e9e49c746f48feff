// What clients do when their connection ends, or never was.
"use strict"

const assert = require("node:assert/strict")
const { after, before, describe, test } = require("node:test")
const { answer, clients, joined, joinsSent, open } = require("./clients.js")
const { eventually, freePort, sleep } = require("./process.js")
const { startLobby, startProxy } = require("./relay.js")
const { Stack } = require("./stack.js")

let stack
before(async () => { stack = await Stack.start() })
after(() => stack.stop())

const notUTF8 = Buffer.from([0xff, 0xfe])
const disconnect = (user) => stack.redis.publish(`roost:id:${user}`, { event: "disconnect" })

// closings says how each close code comes about. Each gets what connectTo returns.
const closings = {
  "1001 by a publish to roost:id:": { code: 1001, close: ({ user }) => disconnect(user) },
  "1002 after the idle timeout": { code: 1002, own: { ROOST_IDLE_TIMEOUT: "1s" }, close() {} },
  "1006 by kill -9 of the pod": { code: 1006, own: {}, close: ({ pod }) => pod.child.kill("SIGKILL") },
  "1007 after text that is not UTF-8": { code: 1007, close: ({ socket }) => socket.conn.send(notUTF8, { binary: false }) },
  "1009 after a message that is too large": { code: 1009, close: ({ socket }) => socket.conn.send("x".repeat(70 << 10)) },
  "1011 after a frame that is not a message": { code: 1011, close: ({ socket }) => socket.conn.send("{") },
  "1012 by SIGTERM of the pod": { code: 1012, own: {}, close: ({ pod }) => stack.stopPod(pod) },
  // A client on a busy machine may take longer than the 2 s that it has for the close frame behind all that the kernel keeps.
  // That 1013 is sent is for conformance/slow_test.go to see.
  "1013 after not reading": { code: 1013, late: 1006, own: {}, close: stopReading },
}

// stopReading reads nothing until more has been published than the gateway and the kernel keep. The close frame comes behind
// what they kept.
async function stopReading({ socket, topic, pod }) {
  socket.conn.pause()
  const message = JSON.stringify({ event: "flood", payload: { text: "x".repeat(100 << 10) } })
  const flood = "for i = 1, 50 do redis.call('PUBLISH', KEYS[1], ARGV[1]) end"
  const slow = async () => {
    await stack.redis.cli("EVAL", flood, "1", `roost:topic:${topic}`, message)
    const metrics = await (await fetch(`http://127.0.0.1:${pod.adminPort}/metrics`)).text()
    return Number(/^roost_slow_clients_total (\d+)/m.exec(metrics)[1]) > 0
  }
  await eventually("a slow client in the metrics", slow)
  socket.conn.resume()
}

// connectTo joins a client to a pod behind a proxy, as behind a Service. Own pods are those that end.
async function connectTo(t, client, id, own) {
  const pod = own ? await stack.startPod(own) : stack.pods[0]
  if (own) t.after(() => pod.child.exitCode ?? pod.child.signalCode ?? stack.stopPod(pod))
  const proxy = await startProxy(t, pod)
  const user = `${id}-${client.version}`.replace(/ .*-/, "-")
  const socket = open(t, client, proxy.url, { params: { user } })
  const topic = `rooms:${user}`
  const channel = socket.channel(topic)
  await joined(channel)
  return { channel, pod, proxy, socket, topic, user: `user:${user}` }
}

// worksAgain waits until a channel is joined over a second connection, once.
async function worksAgain({ channel, socket, topic }) {
  await eventually(`${topic} joined again`, () => socket.taps.opens === 2 && channel.state === "joined")
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), { status: "ok", response: { n: 1 } })
  assert.equal(joinsSent(socket, topic), 2, "joins sent")
  await stack.backend.saw(topic, "join", 2)
}

const noC7 = ({ heartbeatTimeout }) => !heartbeatTimeout && "it waits for no answer"

describe("Node", { concurrency: true }, () => {
  for (const client of clients) {
    describe(`phoenix ${client.version}`, { concurrency: true }, () => {
      test("C2: the gateway is started after the client", async (t) => {
        const topic = `rooms:c2-${client.version}`
        const port = await freePort()
        const socket = open(t, client, `ws://127.0.0.1:${port}/socket`)
        const channel = socket.channel(topic)
        const join = channel.join()
        await eventually("a connect that failed", () => socket.taps.closes.length > 0)
        const pod = await stack.startPod({ port })
        t.after(() => stack.stopPod(pod))
        assert.equal((await answer(join)).status, "ok")
        const { response: { connection } } = await answer(channel.push("whoami", {}))
        assert.equal(channel.state, "joined")
        assert.deepEqual(await stack.redis.members(topic), [connection])
        t.diagnostic(`sent phx_join ${joinsSent(socket, topic)} times`)
      })

      for (const [name, { code, late, own, close }] of Object.entries(closings)) {
        test(`C5: ${name}: reconnected and joined again`, async (t) => {
          const at = await connectTo(t, client, `c5-${name}`, own)
          if (own) at.proxy.target = stack.pods[1]
          await close(at)
          await eventually(`the end of the connection`, () => at.socket.taps.closes.length > 0)
          const seen = at.socket.taps.closes[0].code
          assert.ok(seen === code || seen === late, `closed with ${seen}, want ${code}`)
          await worksAgain(at)
        })
      }

      for (const code of [1005, 1008]) {
        test(`C5: ${code} by another server: reconnected and joined again`, async (t) => {
          const lobby = await startLobby(t)
          const socket = open(t, client, lobby.url)
          const channel = socket.channel("rooms:lobby")
          await joined(channel)
          lobby.close(code === 1005 ? undefined : code)
          await eventually("a second join", () => lobby.connections === 2 && channel.state === "joined")
          assert.equal(socket.taps.closes[0].code, code)
        })
      }

      test(`C6: 1000 by another server: ${client.staysAway ? "no reconnect" : "reconnected"}`, async (t) => {
        const lobby = await startLobby(t)
        const socket = open(t, client, lobby.url)
        const channel = socket.channel("rooms:lobby")
        await joined(channel)
        lobby.close(1000)
        await eventually("the end of the connection", () => socket.taps.closes.length > 0)
        assert.equal(socket.taps.closes[0].code, 1000)
        if (client.staysAway) {
          await sleep(3000) // any other code: after 10 ms
          assert.equal(lobby.connections, 1)
          assert.equal(channel.state, "errored")
        } else {
          await eventually("a second join", () => lobby.connections === 2 && channel.state === "joined")
        }
      })

      test("C7: a silent server is left after a heartbeat", { skip: noC7(client) }, async (t) => {
        const topic = `rooms:c7-${client.version}`
        const proxy = await startProxy(t, stack.pods[0])
        const socket = open(t, client, proxy.url, { heartbeatIntervalMs: 2000 })
        const channel = socket.channel(topic)
        const errors = []
        channel.onError((reason) => errors.push(reason))
        await joined(channel)
        const heartbeats = () => socket.taps.sent.filter((frame) => frame.includes('"heartbeat"')).length
        await eventually("answered heartbeats", () => heartbeats() >= 2)
        assert.deepEqual(socket.taps.closed, [])

        proxy.silence()
        await eventually("the client's close", () => socket.taps.closed.length > 0)
        assert.deepEqual(socket.taps.closed[0], { code: 1000, reason: "heartbeat timeout" })
        assert.equal(errors.length, 1)
        await worksAgain({ channel, socket, topic })
      })
    })
  }
})
