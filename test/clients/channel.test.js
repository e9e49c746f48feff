// What happens to one channel of one client.
"use strict"

const assert = require("node:assert/strict")
const { after, before, describe, test } = require("node:test")
const { answer, clients, collect, joined, joinsSent, open } = require("./clients.js")
const { eventually, sleep } = require("./process.js")
const { startRelay } = require("./relay.js")
const { Stack } = require("./stack.js")

let stack
before(async () => { stack = await Stack.start() })
after(() => stack.stop())

// noC8 tells why a client cannot have the case: today's Phoenix and Roost tell a V1 client without join_refs of the old
// channel's end with ref null (case W9), and it takes that for the end of both.
const noC8 = ({ vsn }) => vsn === "1.0.0" && "a client without join_ref cannot tell the two apart"

const connect = (t, client, options) => open(t, client, stack.pods[0].url, options)

describe("Node", { concurrency: true }, () => {
  for (const client of clients) {
    describe(`phoenix ${client.version}`, { concurrency: true }, () => {
      test("C1: connect, join, push with reply, leave", async (t) => {
        const topic = `rooms:c1-${client.version}`
        const socket = connect(t, client, { params: { user: "c1", "with space": "ü & /" } })
        const channel = socket.channel(topic, { name: "Ada" })
        assert.deepEqual(await joined(channel), { welcome: "Ada" })
        const [{ data }] = await stack.backend.saw(topic, "join")
        assert.equal(data.vsn, client.vsn)
        assert.equal(data.id, "user:c1")
        assert.equal(data.params["with space"], "ü & /")

        const payload = { text: "<&> ü \u2028 \"", n: 1.5, list: [1, null, {}] }
        assert.deepEqual(await answer(channel.push("echo", payload)), { status: "ok", response: payload })
        assert.deepEqual(await answer(channel.push("fail", { why: "no" })), { status: "error", response: { why: "no" } })

        const closes = []
        channel.onClose(() => closes.push("closed"))
        assert.equal((await answer(channel.leave())).status, "ok")
        await eventually("onClose", () => closes.length > 0)
        assert.equal(channel.state, "closed")
        const [left] = await stack.backend.saw(topic, "leave")
        assert.equal(left.data.reason, "left")
        assert.equal(socket.isConnected(), true)
        assert.deepEqual(socket.taps.closes, [])
      })

      test("C3: a refused join is tried again until leave()", async (t) => {
        const topic = `refused:c3-${client.version}`
        const channel = connect(t, client).channel(topic)
        const refusals = []
        channel.join().receive("error", (response) => refusals.push({ response, at: Date.now() }))
        await eventually("a refused join", () => refusals.length > 0)
        assert.deepEqual(refusals[0].response, { reason: "members only" })
        assert.deepEqual(await stack.redis.members(topic), [])

        const want = client.retriesJoin ? 4 : 1 // after 0, 1, 3 and 8 s; the next would be 10 s later
        await eventually(`${want} refused joins`, () => refusals.length === want, 60000)
        for (const [i, least] of [1000, 2000, 5000].slice(0, want - 1).entries()) {
          const gap = refusals[i + 1].at - refusals[i].at
          assert.ok(gap >= least - 50, `got join ${i + 2} ${gap} ms after the one before, want ${least}`)
        }
        channel.leave()
        await sleep(10500)
        await stack.backend.saw(topic, "join", want)
      })

      test("C4: a crashed channel joins again, and pushes made meanwhile follow", async (t) => {
        const topic = `rooms:c4-${client.version}`
        const channel = connect(t, client).channel(topic)
        await joined(channel)
        const errors = []
        channel.onError((reason) => errors.push(reason))
        channel.push("crash", {})
        await eventually("onError", () => errors.length > 0)
        assert.deepEqual(errors, [{ reason: "channel_crash" }])

        const at = Date.now()
        assert.equal(channel.state, "errored")
        assert.deepEqual(await answer(channel.push("echo", { n: 1 })), { status: "ok", response: { n: 1 } })
        const took = Date.now() - at
        assert.ok(took >= 900, `got the answer ${took} ms after the crash, want the rejoin after 1000 first`)
        assert.equal(channel.state, "joined")
        await stack.backend.saw(topic, "push", 2)
        const seen = stack.backend.calls.filter(({ type, data }) => data.topic === topic && type !== "channel.leave")
        const want = ["channel.join", "crash", "channel.join", "echo"]
        assert.deepEqual(seen.map(({ type, data }) => data.event ?? type), want)
        assert.equal((await stack.redis.members(topic)).length, 1)
      })

      test("C8: of two channel objects with one topic the second stays", { skip: noC8(client) }, async (t) => {
        const topic = `rooms:c8-${client.version}`
        const socket = connect(t, client)
        const first = socket.channel(topic, { name: "first" })
        const second = socket.channel(topic, { name: "second" })
        const closes = []
        first.onClose(() => closes.push("first"))
        second.onClose(() => closes.push("second"))
        await joined(first)
        assert.deepEqual(await joined(second), { welcome: "second" })
        await eventually("onClose of the first", () => closes.length > 0)
        await stack.backend.saw(topic, "leave")

        // The answer to a push comes behind all that was left of the first channel.
        assert.deepEqual(await answer(second.push("echo", { n: 2 })), { status: "ok", response: { n: 2 } })
        assert.deepEqual(closes, ["first"])
        assert.equal(first.state, "closed")
        assert.equal(second.state, "joined")
        const { response: { connection } } = await answer(second.push("whoami", {}))
        assert.deepEqual(await stack.redis.members(topic), [connection])
        const messages = collect(second, "news")
        await stack.redis.publish(`roost:topic:${topic}`, { event: "news", payload: { n: 3 } })
        await eventually("a broadcast", () => messages.length > 0)
        assert.deepEqual(messages, [{ n: 3 }])
      })

      test("C9: frames of an old join are ignored, those without a join delivered", async (t) => {
        const topic = `rooms:c9-${client.version}`
        const relay = await startRelay(t, stack.pods[0].url)
        const socket = open(t, client, relay.url)
        const channel = socket.channel(topic)
        await joined(channel)
        const notes = collect(channel, "note")
        const ends = []
        channel.onError(() => ends.push("error"))
        channel.onClose(() => ends.push("close"))

        const frame = (joinRef, ref, event, payload) => JSON.stringify(
          client.vsn === "1.0.0" ? { topic, event, ref, payload } : [joinRef, ref, topic, event, payload])
        relay.inject(frame("999", "999", "phx_close", {}))
        relay.inject(frame("999", "999", "phx_error", {}))
        if (client.vsn !== "1.0.0") relay.inject(frame("999", null, "note", { n: 1 }))
        relay.inject(frame(null, null, "note", { n: 2 }))
        await eventually("the injected note", () => notes.length > 0)
        assert.deepEqual(notes, [{ n: 2 }])
        assert.deepEqual(ends, [])
        assert.deepEqual(await answer(channel.push("echo", { n: 3 })), { status: "ok", response: { n: 3 } })
        assert.equal(joinsSent(socket, topic), 1)
      })

      test("C13: authToken", { skip: !client.authToken && "since 1.8.0" }, async (t) => {
        const topic = `rooms:c13-${client.version}`
        const token = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"
        const socket = connect(t, client, { authToken: token })
        const channel = socket.channel(topic)
        await joined(channel)
        assert.equal(socket.conn.protocol, "phoenix")
        assert.equal((await stack.backend.saw(topic, "join"))[0].data.auth_token, token)
        const { response: { assigns } } = await answer(channel.push("whoami", {}))
        assert.deepEqual(assigns, { token })
      })

      test("C14: binary push and reply", { skip: !client.binary && "V1 has no binary messages" }, async (t) => {
        const topic = `rooms:c14-${client.binaryUTF8 ? "ü-" : ""}${client.version}`
        const channel = connect(t, client).channel(topic)
        await joined(channel)
        const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
        const { status, response } = await answer(channel.push("echo", bytes.buffer))
        assert.equal(status, "ok")
        assert.ok(response instanceof ArrayBuffer, `got ${response}, want an ArrayBuffer`)
        assert.deepEqual(new Uint8Array(response), bytes)

        const messages = collect(channel, "bytes")
        assert.equal((await answer(channel.push("bytes", bytes.buffer))).status, "ok")
        const base64 = Buffer.from(bytes).toString("base64")
        await stack.redis.publish(`roost:topic:${topic}`, { event: "bytes", payload_base64: base64 })
        await eventually("a binary push and a binary broadcast", () => messages.length === 2)
        for (const message of messages) assert.deepEqual(new Uint8Array(message), bytes)
      })
    })
  }
})
