"use strict"

const $ = (id) => document.getElementById(id)
const { socket: socketPath, topic } = document.body.dataset
const maxLines = 300

function element(tag, className, ...children) {
  const e = document.createElement(tag)
  if (className) e.className = className
  e.append(...children)
  return e
}

// append adds a line to a list, and follows it unless the reader has scrolled up.
function append(list, line) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
  list.append(line)
  while (list.childElementCount > maxLines) list.firstElementChild.remove()
  if (atEnd) list.scrollTop = list.scrollHeight
}

function status(text, state = "") {
  $("status").textContent = text
  $("status").dataset.state = state
}

// --- the wire -------------------------------------------------------------------------------------------------------

// showFrame prints a frame as it is, with its event in bold.
function showFrame(way, frame) {
  const text = typeof frame === "string" ? frame : `(binary, ${frame.byteLength ?? frame.size} bytes)`
  let event = ""
  try { event = JSON.parse(text)[3] } catch { /* shown as it is */ }
  const heartbeat = text.includes('"phoenix"')
  const marked = JSON.stringify(event)
  const at = event ? text.indexOf("," + marked + ",") : -1
  const content = at < 0 ? [text] : [text.slice(0, at + 1), element("b", "", marked), text.slice(at + 1 + marked.length)]
  const time = element("time", "", new Date().toTimeString().slice(0, 8))
  const arrow = element("span", "way", way === "out" ? "↑" : "↓")
  append($("frames"), element("li", way + (heartbeat ? " heartbeat" : ""), time, arrow, element("span", "", ...content)))
}

// Tapped is the browser's own WebSocket, which also shows what passes.
class Tapped extends WebSocket {
  constructor(...args) {
    super(...args)
    this.addEventListener("message", (e) => showFrame("in", e.data))
  }

  send(data) {
    showFrame("out", data)
    super.send(data)
  }
}

// --- the chat -------------------------------------------------------------------------------------------------------

function say(user, body) {
  append($("messages"), element("li", "", element("span", "who", String(user)), ": " + body))
}

function note(text) {
  append($("messages"), element("li", "event", element("span", "event", text)))
}

function chat() {
  $("clear").addEventListener("click", () => $("frames").replaceChildren())
  $("heartbeats").addEventListener("change", (e) => $("frames").classList.toggle("calm", !e.target.checked))
  $("user").value = sessionStorage.getItem("user") || "guest" + Math.floor(Math.random() * 900 + 100)
  $("user").addEventListener("change", () => sessionStorage.setItem("user", $("user").value))
  sessionStorage.setItem("user", $("user").value)

  const socket = new Phoenix.Socket(socketPath, { transport: Tapped })
  socket.onError(() => status("connection lost, trying again", "down"))
  socket.onClose(() => { status("connection lost, trying again", "down"); $("send").disabled = true })
  socket.onOpen(() => status("connected"))
  socket.connect()

  const lobby = socket.channel(topic, () => ({ user: $("user").value }))
  lobby.on("user:entered", ({ user }) => note(`${user ?? "somebody"} entered`))
  lobby.on("new:msg", ({ user, body }) => say(user ?? "somebody", body))
  lobby.onError(() => { status("joining again"); $("send").disabled = true })
  lobby.onClose(() => { status("the channel was closed", "down"); $("send").disabled = true })
  lobby.join()
    .receive("ok", () => { status("joined " + topic, "joined"); $("send").disabled = false })
    .receive("error", (answer) => { status("refused", "down"); note("The join was refused: " + JSON.stringify(answer)) })
    .receive("timeout", () => status("the join got no answer, trying again", "down"))

  $("form").addEventListener("submit", (e) => {
    e.preventDefault()
    const message = { user: $("user").value, body: $("body").value }
    lobby.push("new:msg", message)
      .receive("error", (answer) => note("Not sent: " + JSON.stringify(answer)))
      .receive("timeout", () => note("Not sent: no answer"))
    $("body").value = ""
    $("body").focus()
  })
}

// --- the page -------------------------------------------------------------------------------------------------------

for (const block of document.querySelectorAll(".copy")) {
  const button = element("button", "quiet", "Copy")
  button.type = "button"
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("code").textContent)
    button.textContent = "Copied"
    setTimeout(() => { button.textContent = "Copy" }, 1500)
  })
  block.append(button)
}

if (window.Phoenix) chat()
else status("phoenix.js is not built in", "down")
