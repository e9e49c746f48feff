// The clients where most of them live: in a browser.
"use strict"

const assert = require("node:assert/strict")
const { after, before, describe, test } = require("node:test")
const { launch, servePages } = require("./browser.js")
const { clients } = require("./clients.js")
const { eventually, within } = require("./process.js")
const { Stack } = require("./stack.js")

let stack, browser, pages
before(async () => {
  [stack, browser, pages] = await Promise.all([Stack.start(), launch(), servePages()])
})
after(async () => {
  await browser?.close()
  pages?.server.close()
  await stack?.stop()
})

// openTab opens the page of a client and notes what goes wrong in it.
async function openTab(t, { version }, host) {
  const tab = await browser.newPage()
  t.after(() => tab.close())
  tab.faults = []
  tab.on("pageerror", (err) => tab.faults.push(err.message))
  tab.run = (script, arg) => within(120000, "the end of a script in the page", tab.evaluate(script, arg))
  await tab.goto(pages.url(version, host), { timeout: 120000 })
  return tab
}

const url = (pod) => stack.pods[pod].url

describe("Chromium", { concurrency: true }, () => {
  for (const client of clients) {
    describe(`phoenix ${client.version}`, { concurrency: true }, () => {
      test("C1: connect, join, push with reply, leave", async (t) => {
        const topic = `rooms:c1-${client.version}`
        const tab = await openTab(t, client)
        const got = await tab.run(async ({ url, topic }) => {
          const socket = new Socket(url, { params: { user: "c1" } })
          socket.connect()
          const channel = socket.channel(topic, { name: "Ada" })
          const joined = await answer(channel.join())
          const echo = await answer(channel.push("echo", { text: "<&> ü" }))
          const fail = await answer(channel.push("fail", { why: "no" }))
          const closed = new Promise((resolve) => channel.onClose(() => resolve("closed")))
          const left = await answer(channel.leave())
          return [joined, echo, fail, left.status, await closed, channel.state]
        }, { url: url(0), topic })
        assert.deepEqual(got, [
          { status: "ok", response: { welcome: "Ada" } }, { status: "ok", response: { text: "<&> ü" } },
          { status: "error", response: { why: "no" } }, "ok", "closed", "closed",
        ])
        const [{ data }] = await stack.backend.saw(topic, "join")
        assert.equal(data.vsn, client.vsn)
        assert.equal(data.id, "user:c1")
        assert.match(data.headers["user-agent"], /Chrome/)
        await stack.backend.saw(topic, "leave")
        assert.deepEqual(tab.faults, [])
      })

      test("C4: a crashed channel joins again, and pushes made meanwhile follow", async (t) => {
        const topic = `rooms:c4-${client.version}`
        const tab = await openTab(t, client)
        const got = await tab.run(async ({ url, topic }) => {
          const socket = new Socket(url)
          socket.connect()
          const channel = socket.channel(topic)
          await answer(channel.join())
          const crashed = new Promise((resolve) => channel.onError(resolve))
          channel.push("crash", {})
          const reason = await crashed
          return [reason, channel.state, await answer(channel.push("echo", { n: 1 })), channel.state]
        }, { url: url(0), topic })
        assert.deepEqual(got, [{ reason: "channel_crash" }, "errored", { status: "ok", response: { n: 1 } }, "joined"])
        await stack.backend.saw(topic, "join", 2)
        assert.deepEqual(tab.faults, [])
      })

      test("C13: authToken", { skip: !client.authToken && "since 1.8.0" }, async (t) => {
        const topic = `rooms:c13-${client.version}`
        const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
        const tab = await openTab(t, client)
        const got = await tab.run(async ({ url, topic, token }) => {
          const socket = new Socket(url, { authToken: token })
          socket.connect()
          const channel = socket.channel(topic)
          await answer(channel.join())
          return [socket.conn.protocol, (await answer(channel.push("whoami", {}))).response.assigns]
        }, { url: url(0), topic, token })
        assert.deepEqual(got, ["phoenix", { token }])
        assert.equal((await stack.backend.saw(topic, "join"))[0].data.auth_token, token)
      })

      test("C14: binary push and reply", { skip: !client.binary && "V1 has no binary messages" }, async (t) => {
        const tab = await openTab(t, client)
        const got = await tab.run(async ({ url, topic }) => {
          const socket = new Socket(url)
          socket.connect()
          const channel = socket.channel(topic)
          await answer(channel.join())
          const pushed = new Promise((resolve) => channel.on("bytes", resolve))
          const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
          const { status, response } = await answer(channel.push("echo", bytes.buffer))
          channel.push("bytes", bytes.buffer)
          const same = (buffer) => buffer instanceof ArrayBuffer && new Uint8Array(buffer).join() === bytes.join()
          return { status, reply: same(response), push: same(await pushed) }
        }, { url: url(0), topic: `rooms:c14-${client.version}` })
        assert.deepEqual(got, { status: "ok", reply: true, push: true })
      })

      test("two tabs on two pods chat, with each other and with redis-cli, until one is closed", async (t) => {
        const topic = `rooms:tabs-${client.version}`
        const tabs = await Promise.all([0, 1].map(async (pod) => {
          const tab = await openTab(t, client)
          const { status } = await tab.run(({ url, topic }) => {
            const socket = new Socket(url)
            socket.connect()
            window.channel = socket.channel(topic)
            window.heard = []
            channel.on("new:msg", ({ body }) => heard.push(body))
            return answer(channel.join())
          }, { url: url(pod), topic })
          assert.equal(status, "ok")
          return tab
        }))
        const hear = async (want) => {
          for (const tab of tabs) {
            await tab.waitForFunction((n) => window.heard.length >= n, want.length)
            assert.deepEqual(await tab.run(() => window.heard), want)
          }
        }
        await tabs[0].evaluate(() => answer(channel.push("new:msg", { body: "one" })))
        await tabs[1].evaluate(() => answer(channel.push("new:msg", { body: "two" })))
        await stack.redis.publish(`roost:topic:${topic}`, { event: "new:msg", payload: { body: "three" } })
        await hear(["one", "two", "three"])
        assert.equal((await stack.redis.members(topic)).length, 2)

        const members = async (n) => (await stack.redis.members(topic)).length === n
        await tabs[1].close()
        await eventually("one member after a tab was closed", () => members(1))
        await tabs[0].reload()
        await eventually("no member after a reload", () => members(0))
      })
    })
  }

  test("a page of an origin that is not allowed cannot connect", async (t) => {
    const client = clients.at(-1)
    const tab = await openTab(t, client, "localhost")
    const connect = (target) => tab.run((url) => new Promise((resolve) => {
      const socket = new Socket(url)
      socket.onOpen(() => resolve("open"))
      socket.onError(() => { socket.disconnect(); resolve("error") })
      socket.connect()
    }), target)
    assert.equal(await connect(url(0)), "error")
    const { origin } = new URL(pages.url("", "localhost"))
    await eventually("the origin in the log", () => stack.pods[0].child.log.includes(origin))
  })
})
