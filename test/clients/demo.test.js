// What people try first: the chat of examples/embed, and the page of gateway dev.
"use strict"

const assert = require("node:assert/strict")
const { execFile } = require("node:child_process")
const { after, before, describe, test } = require("node:test")
const { promisify } = require("node:util")
const { launch } = require("./browser.js")
const { embed, gateway } = require("./build.js")
const { answer, clients, collect, joined, open } = require("./clients.js")
const { answers, eventually, freePort, start, stop } = require("./process.js")

const run = promisify(execFile)
const ends = [clients[0], clients.at(-1)]

describe("examples/embed", () => {
  let program, url
  before(async () => {
    const port = await freePort()
    program = start(embed, ["-addr", `127.0.0.1:${port}`, "-ping", "200ms"])
    url = `ws://127.0.0.1:${port}/socket`
    await answers(`http://127.0.0.1:${port}/`, program)
  })
  after(async () => {
    const { code } = await stop(program, "SIGINT")
    assert.equal(code, 0, program.log)
    assert.doesNotMatch(program.log, /DATA RACE|panic:/)
  })

  for (const client of ends) {
    test(`phoenix ${client.version}: joins the lobby, and hears who entered after the join reply`, async (t) => {
      const socket = open(t, client, url)
      const channel = socket.channel("rooms:lobby", { user: client.version })
      const seen = []
      channel.on("join", (payload) => seen.push(["join", payload]))
      channel.on("user:entered", (payload) => seen.push(["user:entered", payload]))
      await answer(channel.join().receive("ok", () => seen.push(["reply"])))
      await eventually("user:entered", () => seen.length >= 3)
      assert.deepEqual(seen, [["reply"], ["join", { status: "connected" }], ["user:entered", { user: client.version }]])
      const { status, response } = await answer(socket.channel("rooms:private").join())
      assert.deepEqual([status, response], ["error", { reason: "unauthorized" }])
    })

    test(`phoenix ${client.version}: what it says reaches everyone, and so does the timer`, async (t) => {
      const everyone = await Promise.all(ends.map(async (each) => {
        const channel = open(t, each, url).channel("rooms:lobby", { user: each.version })
        const heard = collect(channel, "new:msg")
        await joined(channel)
        return { channel, heard, mine: each === client }
      }))
      const said = { user: client.version, body: "<hello> & ü" }
      const { channel } = everyone.find(({ mine }) => mine)
      assert.deepEqual(await answer(channel.push("new:msg", said)), { status: "ok", response: { msg: said.body } })
      for (const { heard } of everyone) {
        await eventually("the message", () => heard.some(({ user }) => user === client.version))
        assert.deepEqual(heard.filter(({ user }) => user === client.version), [said])
        await eventually("the timer's message", () => heard.some(({ user }) => user === "SYSTEM"))
      }
    })
  }
})

describe("gateway dev", () => {
  let program, page, browser
  before(async () => {
    const [port, adminPort] = [await freePort(), await freePort()]
    program = start(gateway, ["dev"], { PORT: port, ROOST_ADMIN_PORT: adminPort })
    page = `http://127.0.0.1:${port}/`
    await answers(`http://127.0.0.1:${adminPort}/readyz`, program)
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    const { code } = await stop(program)
    assert.equal(code, 0, program.log)
    assert.doesNotMatch(program.log, /DATA RACE|panic:/)
  })

  // enter opens the page under a name and waits until it has joined.
  async function enter(t, name) {
    const tab = await browser.newPage()
    t.after(() => tab.close())
    tab.faults = []
    tab.on("pageerror", (err) => tab.faults.push(err.message))
    tab.on("console", (entry) => entry.type() === "error" && tab.faults.push(entry.text()))
    await tab.goto(page, { timeout: 120000 })
    await tab.locator("#status", { hasText: "joined rooms:lobby" }).waitFor()
    await tab.locator("#user").fill(name)
    return tab
  }

  const line = (tab, list, text) => tab.locator(`#${list} li`, { hasText: text }).first().waitFor()

  async function say(tab, text) {
    await tab.locator("#body").fill(text)
    await tab.locator("#send").click()
  }

  test("two tabs chat, and see the frames", async (t) => {
    const [ada, bob] = [await enter(t, "ada"), await enter(t, "bob")]
    await line(ada, "messages", "entered")
    await say(ada, "hello <b>bob</b>")
    await say(bob, "hello ada")
    for (const tab of [ada, bob]) {
      await line(tab, "messages", "ada: hello <b>bob</b>")
      await line(tab, "messages", "bob: hello ada")
      await line(tab, "frames", '"rooms:lobby","phx_join"')
      await line(tab, "frames", /↓\[null,null,"rooms:lobby","new:msg",.*hello ada/)
      assert.deepEqual(tab.faults, [])
    }
    await line(bob, "frames", /↑\["\d+","\d+","rooms:lobby","new:msg",.*hello ada/)
  })

  test("the redis-cli line that it prints says something on the page", async (t) => {
    const ada = await enter(t, "ada")
    const command = await eventually("a redis-cli line", () => /^ *(redis-cli .*PUBLISH .*)$/m.exec(program.log)?.[1])
    assert.equal(await ada.locator("#terminal code").first().textContent(), command, "the line on the page")
    const { stdout } = await run("sh", ["-c", command])
    assert.equal(stdout.trim(), "1", "pods that took it")
    await line(ada, "messages", "redis: hi")
    await line(ada, "frames", /↓\[null,null,"rooms:lobby","new:msg",.*redis/)
    assert.deepEqual(ada.faults, [])
  })
})
