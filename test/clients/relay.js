// Things between a client and a gateway, and a server that Roost never is.
"use strict"

const net = require("node:net")
const { once } = require("node:events")
const { WebSocket, WebSocketServer } = require("ws")

// startProxy starts a TCP proxy to target. Its target may change; silence keeps all connections of now open and passes
// nothing any more.
async function startProxy(t, target) {
  const proxy = { target }
  const pairs = new Set()
  const server = net.createServer((near) => {
    const far = net.connect(proxy.target.port, "127.0.0.1")
    const pair = [near, far]
    pairs.add(pair)
    near.pipe(far)
    far.pipe(near)
    for (const side of pair) {
      side.on("error", () => {})
      side.on("close", () => {
        pairs.delete(pair)
        pair.forEach((each) => each.destroy())
      })
    }
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  proxy.url = `ws://127.0.0.1:${server.address().port}/socket`
  proxy.silence = () => {
    for (const pair of pairs) {
      for (const side of pair) side.unpipe().removeAllListeners("close").resume()
    }
  }
  t.after(() => {
    server.close()
    for (const pair of pairs) pair.forEach((each) => each.destroy())
  })
  return proxy
}

// serve starts a WebSocket server that ends with the test.
async function serve(t, connected) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
  server.on("connection", connected)
  await once(server, "listening")
  t.after(() => {
    server.clients.forEach((client) => client.terminate())
    server.close()
  })
  return { server, url: `ws://127.0.0.1:${server.address().port}/socket` }
}

// startRelay starts a proxy that knows WebSocket messages. inject sends one of ours to the client.
async function startRelay(t, url) {
  const { server, url: own } = await serve(t, (near, request) => {
    const far = new WebSocket(new URL(request.url, url))
    near.pause()
    far.on("open", () => near.resume())
    near.on("message", (data, isBinary) => far.send(data, { binary: isBinary }))
    far.on("message", (data, isBinary) => near.send(data, { binary: isBinary }))
    near.on("close", () => far.terminate())
    far.on("close", () => near.terminate())
  })
  return { url: own, inject: (frame) => server.clients.forEach((client) => client.send(frame)) }
}

// startLobby starts a server that lets everybody join, and closes connections as it is told: for close codes that Roost
// does not send.
async function startLobby(t) {
  const { server, url } = await serve(t, (client) => {
    lobby.connections++
    client.on("message", (data) => {
      const message = JSON.parse(data)
      const reply = { status: "ok", response: {} }
      if (Array.isArray(message)) {
        const [joinRef, ref, topic] = message
        client.send(JSON.stringify([joinRef, ref, topic, "phx_reply", reply]))
      } else {
        client.send(JSON.stringify({ topic: message.topic, event: "phx_reply", ref: message.ref, payload: reply }))
      }
    })
  })
  const lobby = { url, connections: 0, close: (code) => server.clients.forEach((client) => client.close(code)) }
  return lobby
}

module.exports = { startLobby, startProxy, startRelay }
