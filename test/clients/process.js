// Processes and ports of a test file. Everything that was started ends with it.
"use strict"

const { spawn } = require("node:child_process")
const net = require("node:net")
const { once } = require("node:events")

const running = new Set()
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")))
process.on("SIGTERM", () => process.exit(1)) // the test runner's when a file takes too long

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// eventually waits until look returns something true, and returns that.
async function eventually(what, look, ms = 60000) {
  const deadline = Date.now() + ms
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await sleep(20)
  }
}

// within waits for a promise, but not for ever.
async function within(ms, what, promise) {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms) })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

// freePort returns a port that is free, outside the range from which connections get theirs.
async function freePort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 20000)
    const server = net.createServer()
    const free = await new Promise((resolve) => {
      server.once("error", () => resolve(false))
      server.listen(port, "127.0.0.1", () => resolve(true))
    })
    if (!free) continue
    server.close()
    await once(server, "close")
    return port
  }
}

// start runs a program with this environment and nothing else of ours but what it needs to run at all.
function start(program, args, env = {}) {
  const { PATH, HOME, TMPDIR } = process.env
  const child = spawn(program, args, { env: { PATH, HOME, TMPDIR, ...env }, stdio: ["ignore", "pipe", "pipe"] })
  running.add(child)
  child.log = ""
  child.stdout.on("data", (data) => { child.log += data })
  child.stderr.on("data", (data) => { child.log += data })
  child.ended = once(child, "close").then(([code, signal]) => {
    running.delete(child)
    return { code, signal }
  })
  return child
}

// stop asks a program to end, waits for it, and returns how it ended.
function stop(child, signal = "SIGTERM") {
  child.kill(signal)
  return child.ended
}

// answers waits until an HTTP address says 200.
function answers(url, child) {
  return eventually(`200 from ${url}`, async () => {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}:\n${child.log}`)
    return fetch(url).then((response) => response.ok, () => false)
  })
}

module.exports = { answers, eventually, freePort, sleep, start, stop, within }
