// Clients poll in Chromium, across origins, from three pods behind a round-robin proxy.
"use strict"

const assert = require("node:assert/strict")
const { after, before, describe, test } = require("node:test")
const { launch, servePages } = require("./browser.js")
const { eventually, stop } = require("./process.js")
const { startRoundRobin } = require("./longpoll.js")
const { Stack } = require("./stack.js")

let stack, browser, pages, proxy
before(async () => {
  [stack, browser, pages] = await Promise.all([Stack.start(), launch(), servePages()])
  stack.pods.push(await stack.startPod())
  proxy = await startRoundRobin(stack.pods)
})
after(async () => {
  await browser?.close()
  pages?.server.close()
  proxy?.stop()
  await stack?.stop()
})

async function openTab(t, version) {
  const tab = await browser.newPage()
  t.after(() => tab.close())
  tab.faults = []
  tab.on("pageerror", (err) => tab.faults.push(err.message))
  await tab.goto(pages.url(version), { timeout: 120000 })
  return tab
}

// join opens a polling socket in a tab and joins a topic. The channel and what it hears stay in the page.
const join = (tab, url, topic, params = {}) => tab.evaluate(({ url, topic, params }) => {
  window.socket = new Socket(url, { transport: Phoenix.LongPoll, params })
  window.errors = []
  socket.onError((error) => errors.push(String(error)))
  socket.connect()
  window.channel = socket.channel(topic, { name: "Ada" })
  window.heard = []
  channel.on("new:msg", (payload) => heard.push(payload.n))
  return answer(channel.join())
}, { url, topic, params })

const whoami = (tab) => tab.evaluate(() => answer(channel.push("whoami", {})).then(({ response }) => response.connection))

// One after the other, so that an open is not late because the machine is busy. A join takes 2 s.
describe("longPollFallbackMs in Chromium", () => {
  for (const version of ["1.7.21", "1.8.16"]) {
    test(`C12 ${version}: with longPollFallbackMs and a slow join it stays on its WebSocket`, async (t) => {
      const topic = `rooms:slow-${version}`
      const tab = await openTab(t, version)
      const got = await tab.evaluate(async ({ url, topic }) => {
        const socket = new Socket(url, { longPollFallbackMs: 1500 })
        socket.connect()
        const reply = await answer(socket.channel(topic).join())
        return [reply.status, socket.conn.constructor.name, sessionStorage.getItem("phx:fallback:LongPoll")]
      }, { url: proxy.url.replace(/:\d+/, `:${stack.pods[0].port}`), topic })
      assert.deepEqual(got.slice(0, 2), ["ok", "WebSocket"])
      assert.notEqual(got[2], "true")
      const [{ data }] = await stack.backend.saw(topic, "join")
      assert.equal(data.transport, "websocket")
    })

    test(`C12 ${version}: without a WebSocket it falls back to polling`, async (t) => {
      const tab = await openTab(t, version)
      const got = await tab.evaluate(async ({ url, topic }) => {
        const socket = new Socket(url, { longPollFallbackMs: 500 })
        socket.connect() // the proxy cannot upgrade
        const reply = await answer(socket.channel(topic).join())
        return [reply.status, socket.conn instanceof Phoenix.LongPoll]
      }, { url: proxy.url, topic: `rooms:lpb-fallback-${version}` })
      assert.deepEqual(got, ["ok", true])
      assert.deepEqual(tab.faults, [])
    })
  }
})

describe("Chromium polls", { concurrency: true }, () => {
  for (const version of ["1.6.16", "1.7.21", "1.8.16"]) {
    test(`C10 ${version}: connect, join, push with reply, leave`, async (t) => {
      const topic = `rooms:lpb-c10-${version}`
      const tab = await openTab(t, version)
      assert.deepEqual(await join(tab, proxy.url, topic, { token: "x" }), { status: "ok", response: { welcome: "Ada" } })
      const [{ data }] = await stack.backend.saw(topic, "join")
      assert.deepEqual([data.transport, data.vsn, data.params.token], ["longpoll", "2.0.0", "x"])
      const echo = await tab.evaluate(() => answer(channel.push("echo", { text: "<&> ü" })))
      assert.deepEqual(echo, { status: "ok", response: { text: "<&> ü" } })
      assert.equal((await tab.evaluate(() => answer(channel.leave()))).status, "ok")
      assert.deepEqual(await tab.evaluate(() => errors), [])
      assert.deepEqual(tab.faults, [])
    })

    test(`C11 ${version}: disconnected, back and joined again`, async (t) => {
      const user = `lpb-c11-${version}`
      const tab = await openTab(t, version)
      await join(tab, proxy.url, `rooms:${user}`, { user })
      const old = await whoami(tab)
      await stack.redis.publish(`roost:id:user:${user}`, { event: "disconnect" })
      await stack.backend.saw(`rooms:${user}`, "join", 2)
      await tab.waitForFunction(() => window.channel.state === "joined")
      assert.notEqual(await whoami(tab), old)
      assert.deepEqual(tab.faults, [])
    })
  }

  for (const version of ["1.7.21", "1.8.16"]) {
    test(`C15 C17 ${version}: bytes, and 150 pushes at once`, async (t) => {
      const topic = `rooms:lpb-c17-${version}`
      const tab = await openTab(t, version)
      await join(tab, proxy.url, topic)
      const status = await tab.evaluate(() => answer(channel.push("whoami", Uint8Array.of(0, 255, 10, 13).buffer)).then(({ status }) => status))
      assert.equal(status, "ok")
      const [{ data }] = await stack.backend.saw(topic, "push")
      assert.equal(data.payload_base64, "AP8KDQ==")
      const answers = await tab.evaluate(() => Promise.all(Array.from({ length: 150 }, (_, n) => answer(channel.push("echo", { n })))))
      answers.forEach((each, n) => assert.deepEqual(each, { status: "ok", response: { n } }))
      assert.deepEqual(await tab.evaluate(() => errors), [])
      assert.deepEqual(tab.faults, [])
    })
  }

  test("two tabs chat while the pod of one is killed", async (t) => {
    const doomed = await stack.startPod({ ROOST_POD_ID: "doomed-browser" })
    t.after(() => doomed.child.signalCode ?? stop(doomed.child, "SIGKILL"))
    const own = await startRoundRobin([...stack.pods, doomed])
    t.after(() => own.stop())
    const topic = "rooms:lpb-kill"
    const tabs = await Promise.all([openTab(t, "1.8.16"), openTab(t, "1.8.16")])
    await join(tabs[0], proxy.url, topic) // never on the doomed pod
    let old
    do { // until the session is on the doomed pod
      await tabs[1].goto(pages.url("1.8.16"), { timeout: 120000 })
      await join(tabs[1], own.url, topic)
      old = await whoami(tabs[1])
    } while (!old.startsWith("doomed-browser."))
    const say = (n) => tabs[0].evaluate((n) => answer(channel.push("new:msg", { n })), n)
    await say(1)
    await tabs[1].waitForFunction(() => window.heard.includes(1))
    await stop(doomed.child, "SIGKILL")
    await say(2)
    await eventually("a session elsewhere", async () => {
      const connection = await whoami(tabs[1]).catch(() => old)
      return connection && connection !== old
    })
    await say(3)
    await tabs[1].waitForFunction(() => window.heard.at(-1) === 3)
    assert.deepEqual(await tabs[0].evaluate(() => heard), [1, 2, 3])
    assert.deepEqual(await tabs[0].evaluate(() => errors), [])
    assert.deepEqual([...tabs[0].faults, ...tabs[1].faults], [])
  })
})
