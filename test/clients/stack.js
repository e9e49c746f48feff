// What stands behind the clients: a Redis server, two gateway processes and a backend process.
"use strict"

const { execFile } = require("node:child_process")
const assert = require("node:assert/strict")
const fs = require("node:fs")
const os = require("node:os")
const path = require("node:path")
const readline = require("node:readline")
const { promisify } = require("node:util")
const { gateway } = require("./build.js")
const { answers, eventually, freePort, start, stop } = require("./process.js")

const run = promisify(execFile)
const secret = "whsec_" + Buffer.from("a secret of the tests, 32 bytes!").toString("base64")

class Redis {
  static async start() {
    const redis = new Redis()
    redis.port = await freePort()
    redis.dir = fs.mkdtempSync(path.join(os.tmpdir(), "roost-clients-"))
    redis.child = start("redis-server", ["--port", redis.port, "--bind", "127.0.0.1", "--save", "", "--dir", redis.dir])
    await eventually("PONG from redis-server", () => redis.cli("PING").then((pong) => pong === "PONG", () => false))
    return redis
  }

  // cli runs redis-cli and returns what it prints.
  async cli(...args) {
    return (await run("redis-cli", ["-p", this.port, ...args])).stdout.trim()
  }

  publish(channel, body) {
    return this.cli("PUBLISH", channel, JSON.stringify(body))
  }

  // members returns the connection ids in the membership set of a topic.
  async members(topic) {
    const lines = await this.cli("SMEMBERS", `roost:{${topic}}:members`)
    return lines === "" ? [] : lines.split("\n").sort()
  }

  // shown returns who is present in a topic: key to the sorted names in its metas.
  async shown(topic) {
    const lines = (await this.cli("HVALS", `roost:{${topic}}:presence`)).split("\n").filter((line) => line !== "")
    const list = {}
    for (const { key, meta } of lines.map(JSON.parse)) list[key] = [...(list[key] ?? []), meta.name].sort()
    return list
  }

  async stop() {
    await stop(this.child)
    fs.rmSync(this.dir, { recursive: true })
  }
}

class Backend {
  calls = []

  static async start() {
    const backend = new Backend()
    backend.child = start(process.execPath, [path.join(__dirname, "backend.js")], { SECRET: secret })
    readline.createInterface(backend.child.stdout).on("line", (line) => {
      const entry = JSON.parse(line)
      if (entry.port) backend.port = entry.port
      else backend.calls.push(entry)
    })
    await eventually("the backend's port", () => backend.port)
    return backend
  }

  // about returns the calls so far of a type (join, push or leave) for a topic.
  about(topic, type) {
    return this.calls.filter((call) => call.data.topic === topic && call.type === `channel.${type}`)
  }

  // saw waits for n such calls, no more, and returns them. A client may know of a call's answer before the test does.
  async saw(topic, type, n = 1) {
    await eventually(`${n} ${type} calls for ${topic}`, () => this.about(topic, type).length >= n)
    assert.equal(this.about(topic, type).length, n, `${type} calls for ${topic}`)
    return this.about(topic, type)
  }
}

class Stack {
  pods = []

  static async start() {
    const stack = new Stack()
    stack.redis = await Redis.start()
    stack.rules = path.join(stack.redis.dir, "topics.yaml")
    fs.writeFileSync(stack.rules, 'topics:\n  - {topic: "rooms:present*", presence: true}\n  - {topic: "*"}\n')
    stack.backend = await Backend.start()
    stack.pods = await Promise.all([stack.startPod(), stack.startPod()])
    return stack
  }

  // startPod starts another gateway and waits until it is ready.
  async startPod({ port, ...env } = {}) {
    const pod = { port: port ?? await freePort(), adminPort: await freePort() }
    pod.child = start(gateway, [], {
      PORT: pod.port, ROOST_ADMIN_HOST: "127.0.0.1", ROOST_ADMIN_PORT: pod.adminPort,
      ROOST_TOPICS_FILE: this.rules, REDIS_URL: `redis://127.0.0.1:${this.redis.port}`,
      ROOST_WEBHOOK_URL: `http://127.0.0.1:${this.backend.port}/`, ROOST_WEBHOOK_SECRET: secret,
      ROOST_WEBHOOK_EVENTS: "connect,join,push,leave,disconnect",
      ROOST_CHECK_ORIGIN: "//127.0.0.1", ROOST_DRAIN_DELAY: "0s", ROOST_DRAIN_TIMEOUT: "2s", LOG_LEVEL: "debug",
      ROOST_ADVERTISE_URL: `http://127.0.0.1:${pod.port}`, ...env,
    })
    pod.url = `ws://127.0.0.1:${pod.port}/socket`
    await answers(`http://127.0.0.1:${pod.adminPort}/readyz`, pod.child)
    return pod
  }

  // stopPod ends a pod as Kubernetes does, and checks that all was well with it.
  async stopPod(pod) {
    const { code } = await stop(pod.child)
    for (const sign of ["DATA RACE", "panic:", "fatal error:"]) {
      const at = pod.child.log.indexOf(sign)
      assert.equal(at, -1, `a pod's log says ${pod.child.log.slice(at, at + 3000)}`)
    }
    assert.equal(code, 0, `the exit code of a pod after SIGTERM; its log ends ${pod.child.log.slice(-1000)}`)
  }

  async stop() {
    try {
      await Promise.all(this.pods.map((pod) => this.stopPod(pod)))
      assert.equal(this.backend.calls.filter(({ type }) => type === "unsigned").length, 0, "calls with a bad signature")
    } finally {
      await stop(this.backend.child)
      await this.redis.stop()
    }
  }
}

module.exports = { Stack }
