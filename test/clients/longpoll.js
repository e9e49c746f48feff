// What the tests of long-polling share: a round-robin proxy in front of three pods, and the cases for every client.
"use strict"

const assert = require("node:assert/strict")
const http = require("node:http")
const { once } = require("node:events")
const { test } = require("node:test")
const { answer, collect, joined } = require("./clients.js")
const { eventually, stop } = require("./process.js")

// startRoundRobin starts a proxy that sends each request to the next pod; and to the one after it, as nginx does, if nobody
// listens there or a GET gets no answer.
async function startRoundRobin(pods) {
  const agent = new http.Agent({ keepAlive: true })
  let next = 0
  const pass = (request, response, body, tries) => {
    const { port } = pods[next++ % pods.length]
    const options = { port, host: "127.0.0.1", method: request.method, path: request.url, headers: request.headers, agent }
    const far = http.request(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
      answer.on("error", () => response.destroy())
    })
    far.on("error", (err) => {
      if (response.destroyed) return
      if ((err.code === "ECONNREFUSED" || request.method === "GET") && !response.headersSent && tries < pods.length) pass(request, response, body, tries + 1)
      else response.headersSent ? response.destroy() : response.writeHead(502).end()
    })
    response.on("close", () => response.writableFinished || far.destroy())
    far.end(body)
  }
  const server = http.createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    pass(request, response, Buffer.concat(chunks), 1)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `ws://127.0.0.1:${server.address().port}/socket`,
    stop() {
      server.close()
      server.closeAllConnections()
      agent.destroy()
    },
  }
}

// openPolling connects a client by long-polling. It ends with the test.
function openPolling(t, client, url, options = {}) {
  const socket = new client.phoenix.Socket(url, { transport: client.phoenix.LongPoll, ...options })
  socket.faults = []
  socket.onError((fault) => socket.faults.push(fault))
  t.after(() => {
    for (const channel of socket.channels) channel.rejoinTimer.reset()
    socket.disconnect()
    socket.reconnectTimer.reset()
  })
  socket.connect()
  return socket
}

const whoami = async (channel) => (await answer(channel.push("whoami", {}))).response

// cases are the tests of one client. front returns the stack and the proxy in front of its pods.
function cases(client, front) {
  const id = client.version

  test("C10: connect, join, push with reply, leave", async (t) => {
    const { stack, proxy } = front()
    const topic = `rooms:lp-c10-${id}`
    const socket = openPolling(t, client, proxy.url, { params: { token: "x", user: `c10-${id}` } })
    const channel = socket.channel(topic, { name: "Ada" })
    assert.deepEqual(await joined(channel), { welcome: "Ada" })
    const [{ data }] = await stack.backend.saw(topic, "join")
    assert.deepEqual([data.transport, data.vsn, data.params.token, data.id], ["longpoll", client.vsn, "x", `user:c10-${id}`])
    const payload = { text: "<&> ü \u2028 \"", n: 1.5, list: [1, null, {}] }
    assert.deepEqual(await answer(channel.push("echo", payload)), { status: "ok", response: payload })
    assert.deepEqual(await answer(channel.push("fail", { why: "no" })), { status: "error", response: { why: "no" } })
    const heard = collect(channel, "new:msg")
    await stack.redis.publish(`roost:topic:${topic}`, { event: "new:msg", payload: { n: 1 } })
    await eventually("what was published", () => heard.length === 1)
    assert.equal((await answer(channel.leave())).status, "ok")
    assert.deepEqual(socket.faults, [])
  })

  test("C11: a client that is disconnected comes back and joins again", async (t) => {
    const { stack, proxy } = front()
    const user = `c11-${id}`
    const topic = `rooms:lp-${user}`
    const socket = openPolling(t, client, proxy.url, { params: { user } })
    const channel = socket.channel(topic)
    const errors = []
    channel.onError((reason) => errors.push(reason))
    await joined(channel)
    const { connection } = await whoami(channel)
    await stack.redis.publish(`roost:id:user:${user}`, { event: "disconnect" })
    await eventually("the channel's error", () => errors.length > 0)
    await eventually("joined again", () => channel.state === "joined")
    assert.notEqual((await whoami(channel)).connection, connection)
    assert.deepEqual(await stack.redis.members(topic), [(await whoami(channel)).connection])
  })

  test("C15: a binary push and its JSON reply", { skip: !client.binaryPolls && "it cannot post bytes" }, async (t) => {
    const { stack, proxy } = front()
    const topic = `rooms:lp-c15-${id}`
    const channel = openPolling(t, client, proxy.url).channel(topic)
    await joined(channel)
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    const { status, response } = await answer(channel.push("whoami", bytes.buffer))
    assert.equal(status, "ok")
    assert.match(response.connection, /\S/)
    const [{ data }] = await stack.backend.saw(topic, "push")
    assert.deepEqual([...Buffer.from(data.payload_base64, "base64")], [...bytes])
  })

  test("C17: 150 pushes at once are answered", async (t) => {
    const { proxy } = front()
    const socket = openPolling(t, client, proxy.url)
    const channel = socket.channel(`rooms:lp-c17-${id}`)
    await joined(channel)
    const answers = await Promise.all(Array.from({ length: 150 }, (_, n) => answer(channel.push("echo", { n }))))
    answers.forEach((each, n) => assert.deepEqual(each, { status: "ok", response: { n } }))
    assert.deepEqual(socket.faults, [])
  })

  test("a pod is killed under a chat: its clients come back, the others notice nothing", async (t) => {
    const { stack } = front()
    const podID = `doomed-${id.replaceAll(".", "-")}`
    const doomed = await stack.startPod({ ROOST_POD_ID: podID })
    const own = await startRoundRobin([...stack.pods, doomed])
    t.after(() => own.stop())
    t.after(() => doomed.child.exitCode ?? doomed.child.signalCode ?? stop(doomed.child, "SIGKILL"))
    const topic = `rooms:lp-kill-${id}`
    const users = await Promise.all(Array.from({ length: 8 }, async (_, n) => {
      const socket = openPolling(t, client, own.url, { params: { user: `kill-${n}` } })
      const channel = socket.channel(topic)
      const heard = collect(channel, "new:msg")
      await joined(channel)
      const { connection } = await whoami(channel)
      return { channel, connection, heard, socket, struck: connection.startsWith(`${podID}.`) }
    }))
    const safe = users.filter(({ struck }) => !struck)
    const struck = users.filter((user) => user.struck)
    assert.ok(safe.length > 0 && struck.length > 0, `${struck.length} of ${users.length} sessions are on the doomed pod`)

    let said = 0
    const say = async () => {
      const payload = { n: said++ }
      assert.deepEqual(await answer(safe[0].channel.push("new:msg", payload)), { status: "ok", response: {} })
    }
    for (let i = 0; i < 20; i++) await say()
    await eventually("all messages with everyone", () => users.every(({ heard }) => heard.length === said))
    await stop(doomed.child, "SIGKILL")
    for (let i = 0; i < 20; i++) await say()
    await eventually("the others back", () => struck.every(({ channel }) => channel.state === "joined"))
    for (const user of struck) {
      await eventually("a session elsewhere", async () => {
        const { connection } = await whoami(user.channel)
        return connection && connection !== user.connection
      })
      user.heard.length = 0
    }
    const before = said
    for (let i = 0; i < 20; i++) await say()
    const want = (from) => Array.from({ length: said - from }, (_, i) => ({ n: from + i }))
    await eventually("all messages with everyone again", () => users.every(({ heard }) => heard.at(-1)?.n === said - 1))
    for (const { heard, socket } of safe) {
      assert.deepEqual(heard, want(0), "what a client of another pod heard")
      assert.deepEqual(socket.faults, [], "what went wrong for a client of another pod")
    }
    for (const { heard } of struck) assert.deepEqual(heard, want(before), "what a client of the dead pod heard after it was back")
  })
}

module.exports = { cases, openPolling, startRoundRobin }
