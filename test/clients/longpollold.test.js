// Older clients poll in Node, by XMLHttpRequest, from three pods behind a round-robin proxy.
"use strict"

require("./xhr.js")
const { after, before, describe } = require("node:test")
const { cases, startRoundRobin } = require("./longpoll.js")
const { Stack } = require("./stack.js")

let stack, proxy
before(async () => {
  stack = await Stack.start()
  stack.pods.push(await stack.startPod())
  proxy = await startRoundRobin(stack.pods)
})
after(async () => {
  proxy?.stop()
  await stack.stop()
})

for (const client of [{ version: "1.6.16", vsn: "2.0.0" }, { version: "1.7.21", vsn: "2.0.0", binaryPolls: true }]) {
  client.phoenix = require(`phoenix-${client.version}`)
  describe(`phoenix ${client.version} polls`, { concurrency: true }, () => {
    cases(client, () => ({ stack, proxy }))
  })
}
