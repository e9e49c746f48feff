// C16: phoenix.js's own Presence, over two pods.
"use strict"

const assert = require("node:assert/strict")
const { after, before, describe, test } = require("node:test")
const { launch, servePages } = require("./browser.js")
const { answer, clients, joined, open } = require("./clients.js")
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

// enter joins a topic with a Presence. It returns the channel and what Presence believes: key to the names in its metas, in order.
async function enter(t, client, pod, topic, payload) {
  const socket = open(t, client, stack.pods[pod].url)
  const channel = socket.channel(topic, payload)
  const presence = new client.phoenix.Presence(channel)
  const seen = { syncs: 0, joins: [], leaves: [] }
  presence.onSync(() => seen.syncs++)
  presence.onJoin((key, current) => current ?? seen.joins.push(key))
  presence.onLeave((key, { metas }) => { if (metas.length === 0) seen.leaves.push(key) })
  await joined(channel)
  const list = () => Object.fromEntries(presence.list((key, { metas }) => [key, metas.map(({ name }) => name)]))
  await eventually("the first sync", () => seen.syncs > 0)
  return { socket, channel, list, seen }
}

const sorted = (list) => Object.fromEntries(Object.entries(list).map(([key, names]) => [key, names.toSorted()]))

// agree waits until everybody and Redis believe want.
async function agree(topic, want, ...everyone) {
  const same = (list) => { try { assert.deepEqual(sorted(list), want); return true } catch { return false } }
  await eventually(`${JSON.stringify(want)} in Redis`, async () => same(await stack.redis.shown(topic)))
  for (const { list } of everyone) await eventually(`${JSON.stringify(want)}, there is ${JSON.stringify(list())}`, () => same(list()))
}

for (const client of clients.filter(({ phoenix }) => phoenix.Presence.prototype?.onSync)) {
  describe(`phoenix ${client.version}`, { concurrency: true }, () => {
    test("C16: list() is what the server has after each step", async (t) => {
      const topic = `rooms:present-${client.version}`
      const a = await enter(t, client, 0, topic, { key: "ada", meta: { name: "phone" } })
      const b = await enter(t, client, 1, topic, { key: "ada", meta: { name: "laptop" } })
      const silent = await enter(t, client, 1, topic, {})
      const all = [a, b, silent]
      await agree(topic, { ada: ["laptop", "phone"] }, ...all)
      for (const { list } of all) assert.deepEqual(list().ada, ["phone", "laptop"], "the oldest first")

      const before = all.map(({ seen }) => seen.syncs)
      assert.equal((await answer(a.channel.push("show", { key: "ada", meta: { name: "watch" } }))).status, "ok")
      await agree(topic, { ada: ["laptop", "watch"] }, ...all)
      all.forEach(({ seen }, i) => {
        assert.ok(seen.syncs > before[i], "onSync fires")
        assert.deepEqual(seen.leaves, [], "an update is no leave")
      })

      await answer(silent.channel.push("show", { key: "__proto__x", meta: { name: "ghost" } }))
      await agree(topic, { ada: ["laptop", "watch"], __proto__x: ["ghost"] }, ...all)
      await answer(silent.channel.push("hide", {}))
      await agree(topic, { ada: ["laptop", "watch"] }, ...all)
      await eventually("the leave", () => a.seen.leaves.includes("__proto__x"))

      b.socket.conn.terminate() // and phoenix.js comes back
      await eventually("the second join of b", () => b.channel.state === "joined" && b.seen.syncs > 1)
      await agree(topic, { ada: ["laptop", "watch"] }, ...all)

      await answer(b.channel.leave())
      await agree(topic, { ada: ["watch"] }, a, silent)
      a.socket.disconnect()
      await agree(topic, {}, silent)
      await eventually("the last leave", () => silent.seen.leaves.includes("ada"))
    })
  })
}

describe("Chromium", () => {
  test("C16: two tabs on two pods", async (t) => {
    const topic = "rooms:present-tabs"
    const openTab = async (pod, key) => {
      const tab = await browser.newPage()
      t.after(() => tab.close())
      tab.run = (script, arg) => within(120000, "the end of a script in the page", tab.evaluate(script, arg))
      await tab.goto(pages.url("1.8.16"), { timeout: 120000 })
      await tab.run(async ({ url, topic, key }) => {
        const socket = new Socket(url)
        socket.connect()
        window.channel = socket.channel(topic, { key, meta: { name: key } })
        window.presence = new Presence(window.channel)
        window.syncs = 0
        window.presence.onSync(() => window.syncs++)
        await answer(window.channel.join())
      }, { url: stack.pods[pod].url, topic, key })
      tab.believes = (want) => eventually(`${JSON.stringify(want)} in a tab`, async () => JSON.stringify(want) === JSON.stringify(
        await tab.run(() => window.presence.list((key, { metas }) => [key, ...metas.map(({ name }) => name)]).sort())))
      return tab
    }
    const one = await openTab(0, "one"), two = await openTab(1, "two")
    for (const tab of [one, two]) await tab.believes([["one", "one"], ["two", "two"]])
    await one.run(() => answer(window.channel.push("show", { key: "one", meta: { name: "away" } })))
    for (const tab of [one, two]) await tab.believes([["one", "away"], ["two", "two"]])
    assert.ok(await two.run(() => window.syncs) > 1, "onSync fires")
    await two.close()
    await one.believes([["one", "away"]])
    assert.deepEqual(await stack.redis.shown(topic), { one: ["away"] })
  })
})
