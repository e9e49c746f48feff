// Headless Chromium, and the page that it opens.
"use strict"

const http = require("node:http")
const fs = require("node:fs")
const path = require("node:path")
const { once } = require("node:events")
const { chromium } = require("playwright-core")

const args = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
]

function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true, args, timeout: 120000 })
}

// page is where a client lives. Its script is what a user would write, for the tests to use.
const page = (version) => `<!doctype html>
<meta charset="utf-8"><title>phoenix ${version}</title><link rel="icon" href="data:,">
<script src="/${version}/phoenix.js"></script>
<script>
  const { Socket, Presence } = window.Phoenix
  function answer(push) {
    return new Promise((resolve) => {
      for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve({ status, response }))
    })
  }
</script>`

// servePages serves a page for every version, at /<version>/, with phoenix.js as its authors publish it for browsers.
async function servePages() {
  const server = http.createServer((request, response) => {
    const [, version, file] = request.url.split("/")
    if (file === "phoenix.js") {
      const script = path.join(__dirname, "node_modules", `phoenix-${version}`, "priv", "static", "phoenix.js")
      response.setHeader("content-type", "text/javascript").end(fs.readFileSync(script))
    } else {
      response.setHeader("content-type", "text/html").end(page(version))
    }
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address()
  return { server, url: (version, host = "127.0.0.1") => `http://${host}:${port}/${version}/` }
}

module.exports = { launch, servePages }
