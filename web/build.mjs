// Puts phoenix.js, as its authors publish it for browsers, where the gateway embeds it.
import { copyFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const file = (path) => fileURLToPath(new URL(path, import.meta.url))
copyFileSync(file("node_modules/phoenix/priv/static/phoenix.min.js"), file("dist/phoenix.js"))
