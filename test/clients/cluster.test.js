// Clients of all versions on two pods, and what Redis says about them.
"use strict"

const assert = require("node:assert/strict")
const { after, before, describe, test } = require("node:test")
const { answer, clients, collect, joined, open } = require("./clients.js")
const { eventually } = require("./process.js")
const { Stack } = require("./stack.js")

let stack
before(async () => { stack = await Stack.start() })
after(() => stack.stop())

// joinEverywhere joins every version on every pod, and collects what they hear.
async function joinEverywhere(t, topic) {
  const place = (pod, i) => clients.map((client) => ({ client, pod, name: `${client.version} on pod ${i + 1}` }))
  const places = stack.pods.flatMap(place)
  return Promise.all(places.map(async (place) => {
    const socket = open(t, place.client, place.pod.url)
    const channel = socket.channel(topic, { name: place.name })
    const heard = collect(channel, "new:msg")
    await joined(channel)
    return { ...place, socket, channel, heard }
  }))
}

const connection = async (channel) => (await answer(channel.push("whoami", {}))).response.connection

describe("two pods", { concurrency: true }, () => {
  test("X1: clients of all versions chat, and hear everything in one order", async (t) => {
    const topic = "rooms:chat"
    const everyone = await joinEverywhere(t, topic)
    await Promise.all(everyone.map(async ({ channel, heard, name }) => {
      assert.equal((await answer(channel.push("new:msg", { body: `hello from ${name}` }))).status, "ok")
      assert.ok(heard.some(({ body }) => body.endsWith(name)), `${name} has its reply, but not its message`)
    }))
    await eventually("all messages with everyone", () => everyone.every(({ heard }) => heard.length >= everyone.length))
    const [{ heard: order }] = everyone
    assert.equal(new Set(order.map(({ body }) => body)).size, everyone.length)
    for (const { heard, name } of everyone) assert.deepEqual(heard, order, `what ${name} heard`)
  })

  test("redis-cli PUBLISH reaches every client, but not the one left out", async (t) => {
    const topic = "rooms:published"
    const everyone = await joinEverywhere(t, topic)
    const except = await connection(everyone[0].channel)
    assert.match(except, /\S/)
    const say = (payload, more) => stack.redis.publish(`roost:topic:${topic}`, { event: "new:msg", payload, ...more })
    assert.equal(await say({ n: 1 }), "2", "pods that took it")
    await say({ n: 2 }, { except })
    await say({ n: 3, text: "<&> ü" })
    const third = { n: 3, text: "<&> ü" }
    await eventually("the third message with everyone", () => everyone.every(({ heard }) => heard.some(({ n }) => n === 3)))
    for (const [i, { heard, name }] of everyone.entries()) {
      assert.deepEqual(heard, i === 0 ? [{ n: 1 }, third] : [{ n: 1 }, { n: 2 }, third], `what ${name} heard`)
    }
  })

  test("phx_error by PUBLISH makes every client join again", async (t) => {
    const topic = "rooms:authorised-anew"
    const everyone = await joinEverywhere(t, topic)
    await stack.redis.publish(`roost:topic:${topic}`, { event: "phx_error" })
    await stack.backend.saw(topic, "join", 2 * everyone.length)
    await eventually("everyone joined", () => everyone.every(({ channel }) => channel.state === "joined"))
    assert.equal((await stack.redis.members(topic)).length, everyone.length)
  })

  test("phx_close by PUBLISH ends the channel of every client for good", async (t) => {
    const topic = "rooms:closed"
    const everyone = await joinEverywhere(t, topic)
    await stack.redis.publish(`roost:topic:${topic}`, { event: "phx_close" })
    await eventually("all channels closed", () => everyone.every(({ channel }) => channel.state === "closed"))
    await eventually("an empty set", async () => (await stack.redis.members(topic)).length === 0)
    await stack.backend.saw(topic, "join", everyone.length)
    for (const { socket, name } of everyone) assert.equal(socket.isConnected(), true, `${name} is connected`)
  })

  test("the membership set is true after join, leave and close", async (t) => {
    const topic = "rooms:members"
    const everyone = await joinEverywhere(t, topic)
    const ids = await Promise.all(everyone.map(({ channel }) => connection(channel)))
    assert.equal(new Set(ids).size, everyone.length)
    assert.deepEqual(await stack.redis.members(topic), ids.toSorted())

    const half = everyone.filter((_, i) => i % 2 === 0)
    half.forEach(({ channel }) => channel.leave())
    const rest = ids.filter((_, i) => i % 2 === 1).sort()
    const members = async (n) => (await stack.redis.members(topic)).length === n
    await eventually(`${rest.length} members after the leaves`, () => members(rest.length))
    assert.deepEqual(await stack.redis.members(topic), rest)

    everyone.forEach(({ socket }) => socket.disconnect())
    await eventually("an empty set after the closes", () => members(0))
    const left = await stack.backend.saw(topic, "leave", ids.length)
    const count = (why) => left.filter(({ data }) => data.reason === why).length
    assert.deepEqual([count("left"), count("closed")], [half.length, rest.length], "leave calls: left, closed")
  })
})
