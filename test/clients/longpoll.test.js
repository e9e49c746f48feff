// The newest client polls in Node, by fetch, from three pods behind a round-robin proxy.
"use strict"

const { after, before, describe } = require("node:test")
const { clients } = require("./clients.js")
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

const client = clients.at(-1)
describe(`phoenix ${client.version} polls`, { concurrency: true }, () => {
  cases({ ...client, binaryPolls: true }, () => ({ stack, proxy }))
})
