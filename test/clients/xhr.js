// What clients before 1.8 need to poll in Node: a window with an XMLHttpRequest. Load it before the client.
"use strict"

const http = require("node:http")

const agent = new http.Agent({ keepAlive: true })

class XMLHttpRequest {
  readyState = 0
  status = 0
  responseText = ""
  timeout = 0
  headers = {}

  open(method, url) {
    this.method = method
    this.url = url
    this.readyState = 1
  }

  setRequestHeader(name, value) {
    this.headers[name] = value
  }

  send(body) {
    this.request = http.request(this.url, { method: this.method, headers: this.headers, agent }, (response) => {
      this.status = response.statusCode
      response.setEncoding("utf8").on("data", (chunk) => { this.responseText += chunk })
      response.on("end", () => this.done())
      response.on("error", () => this.fail())
    })
    this.request.on("error", () => this.fail())
    if (this.timeout) this.timer = setTimeout(() => this.end() && this.ontimeout?.(), this.timeout)
    this.request.end(body ?? undefined)
  }

  // end tells whether the request was still on its way, and ends it.
  end() {
    clearTimeout(this.timer)
    if (this.readyState === 4) return false
    this.readyState = 4
    this.request.destroy()
    return true
  }

  done() {
    clearTimeout(this.timer)
    if (this.readyState === 4) return
    this.readyState = 4
    this.onreadystatechange?.()
  }

  fail() {
    this.responseText = ""
    if (this.end()) this.onerror?.()
  }

  abort() {
    this.end()
  }
}

globalThis.window = { XMLHttpRequest, addEventListener() {} }
