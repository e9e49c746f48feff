// Tokens as docs/tokens.md says that clients renew them.
"use strict"

const assert = require("node:assert/strict")
const { createHmac } = require("node:crypto")
const { after, before, describe, test } = require("node:test")
const { answer, clients, joined, open } = require("./clients.js")
const { eventually } = require("./process.js")
const { Stack } = require("./stack.js")

const key = "a-secret-of-the-token-tests-32-bytes-long"

// sign makes a token by hand: a header, claims and an HMAC.
function sign(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`
}

const lasting = (seconds) => sign({ sub: "ada", exp: Math.floor(Date.now() / 1000) + seconds })

let stack, pod
before(async () => {
  stack = await Stack.start()
  pod = await stack.startPod({ ROOST_JWT_KEY: key, ROOST_JWT_LEEWAY: "0s", ROOST_IDLE_TIMEOUT: "10s", ROOST_WEBHOOK_EVENTS: "join,push,leave" })
  stack.pods.push(pod)
})
after(() => stack.stop())

describe("Node", { concurrency: true }, () => {
  for (const client of clients) {
    describe(`phoenix ${client.version}`, { concurrency: true }, () => {
      test("a client that renews its token stays, and one that does not comes back with its next one", async (t) => {
        let token = lasting(4)
        const topic = `rooms:token-${client.version}`
        const renewing = open(t, client, pod.url, { params: { token } })
        const channel = renewing.channel(topic, { name: "Ada" })
        await joined(channel)
        const [{ data }] = await stack.backend.saw(topic, "join")
        assert.equal(data.id, "user:ada")
        assert.equal(data.assigns.claims.sub, "ada")

        const params = () => ({ token })
        const other = open(t, client, pod.url, { params: client.version === "1.2.1" ? params() : params })
        other.channel(`${topic}-other`, { name: "Bob" }).join()
        await eventually("the other to connect", () => other.taps.opens === 1)

        token = lasting(3600)
        const renewed = await answer(channel.push("access_token", { token }))
        assert.equal(renewed.status, "ok")
        assert.ok(Date.parse(renewed.response.expires_at) > Date.now() + 1800_000, renewed.response.expires_at)

        await eventually("the other's end", () => other.taps.closes.length > 0)
        assert.equal(other.taps.closes[0].code, 1008)
        if (client.version !== "1.2.1") { // whose params cannot change
          await eventually("the other to be back", () => other.taps.opens === 2 && other.isConnected())
        }
        assert.deepEqual(renewing.taps.closes, [])
        assert.equal((await answer(channel.push("echo", {}))).status, "ok")
      })
    })
  }
})
