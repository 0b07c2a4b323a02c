// Puts the command's server in the place of a notebook's kernel: the same messages, over fetch.
import page from "./review.js"

const listeners = new Set()

async function put(message) {
  let said
  try { said = await (await fetch("ask", { method: "POST", body: JSON.stringify(message) })).json() }
  catch { said = { id: message.id, error: "synthnb review has ended; the same command resumes" } }
  for (const listener of listeners) listener(said)
}

let turn = Promise.resolve() // what changes something goes one after another
const model = {
  on: (_, listener) => listeners.add(listener),
  off: (_, listener) => listeners.delete(listener),
  send(message) {
    if (message.ask === "decide" || message.ask === "undo") turn = turn.then(() => put(message))
    else put(message)
  }
}

page.render({ model, el: document.querySelector("main") })
document.querySelector("[tabindex]").focus()
