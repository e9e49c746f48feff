// Builds the gateway that the tests start. RACE=1 builds it with the race detector. phoenix.js for the page of gateway dev
// comes from here, so that the tests need nothing that web/ builds.
"use strict"

const { execFileSync } = require("node:child_process")
const fs = require("node:fs")
const path = require("node:path")

const root = path.join(__dirname, "..", "..")
const dir = path.join(__dirname, "node_modules", ".cache", "roost")
const gateway = path.join(dir, "gateway")
const embed = path.join(dir, "embed")

function build(out, source, ...flags) {
  if (process.env.RACE === "1") flags.push("-race")
  execFileSync("go", ["build", ...flags, "-o", out, source], { cwd: root, stdio: "inherit" })
}

function buildAll() {
  fs.mkdirSync(dir, { recursive: true })
  const overlay = path.join(dir, "overlay.json")
  const bundled = path.join(root, "web", "dist", "phoenix.js")
  const stock = require.resolve("phoenix-1.8.16").replace("phoenix.cjs.js", "phoenix.min.js")
  fs.writeFileSync(overlay, JSON.stringify({ Replace: { [bundled]: stock } }))
  build(gateway, "./cmd/gateway", "-overlay", overlay)
  build(embed, "./examples/embed")
}

module.exports = { gateway, embed }
if (require.main === module) buildAll()
