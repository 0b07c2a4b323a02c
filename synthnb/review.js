// The page of `synthnb.review`: one picture at a time beside its source, or a grid of them. Every decision is sent at once.
// `model` is anywidget's, or the one of review_page.js: send(message), on("msg:custom", listener), off(…).
// What comes from outside (labels, paths, reasons) is only ever set as text.

const CHUNK = 100, AHEAD = 6, SHOWN = 512, TILE = 128 // rows asked for at once; pictures fetched ahead; pixels

class Recent extends Map { // what was used last; the rest is forgotten
  constructor(most) { super(); this.most = most }
  use(key, make) {
    const value = this.has(key) ? this.get(key) : make()
    this.delete(key)
    this.set(key, value)
    if (this.size > this.most) this.delete(this.keys().next().value)
    return value
  }
}

class Line { // questions to Python, each with a promise of its answer
  constructor(model) {
    this.model = model
    this.name = Math.random().toString(36).slice(2) // two views of one widget hear each other's answers
    this.waiting = new Map()
    this.hear = (said) => {
      const { resolve, reject } = this.waiting.get(said.id) ?? {}
      if (!this.waiting.delete(said.id)) return
      if (said.error) reject(new Error(said.error)); else resolve(said)
    }
    model.on("msg:custom", this.hear)
  }
  ask(ask, given = {}) {
    const id = `${this.name}-${this.asked = (this.asked ?? 0) + 1}`
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      this.model.send({ id, ask, ...given })
    })
  }
  close() { this.model.off("msg:custom", this.hear) }
}

function add(parent, tag, name, text = "") {
  const node = document.createElement(tag)
  node.className = name
  node.textContent = text
  parent.append(node)
  return node
}

const number = (n) => n.toLocaleString("en")

class Page {
  constructor(model, el) {
    this.line = new Line(model)
    this.rows = new Recent(30)
    this.large = new Recent(40)
    this.small = new Recent(200)
    this.at = this.unsaved = this.fetching = 0
    this.tiles = []
    this.queue = []
    this.build(el)
    this.leaving = (e) => { if (this.unsaved) e.preventDefault() }
    window.addEventListener("beforeunload", this.leaving)
    this.line.ask("start").then((start) => this.begin(start), (error) => this.complain(error))
  }

  // ---- the page

  build(el) {
    const root = this.root = add(el, "section", "synthnb-review")
    root.tabIndex = 0
    root.setAttribute("aria-label", "Review of pictures")
    // JupyterLab's own keys rest where what has the focus is marked so
    root.addEventListener("focusin", (e) => { e.target.dataset.lmSuppressShortcuts = "true" })
    root.addEventListener("keydown", (e) => this.key(e))
    root.addEventListener("click", (e) => { if (e.target !== this.filter) root.focus({ preventScroll: true }) })
    this.head = add(root, "div", "head")
    this.where = add(this.head, "strong", "where", "…")
    this.bar = add(this.head, "progress", "bar")
    this.bar.setAttribute("aria-label", "decided")
    this.count = add(this.head, "span", "count")
    this.saved = add(this.head, "span", "saved", "saved")
    this.error = add(root, "p", "error")
    this.error.setAttribute("role", "alert")
    this.one = add(root, "div", "one")
    this.views = ["self", "source"].map((which) => this.view(which))
    this.grid = add(root, "div", "tiles")
    this.said = add(root, "p", "said")
    this.said.setAttribute("aria-live", "polite")
    this.buttons = add(root, "div", "buttons")
    this.choices = add(root, "div", "choices")
    this.hint = add(root, "p", "hint")
    add(this.hint, "b", "unfocused", "Click here, or press Tab, to use the keys. ")
    this.hint.append("→ and ← move, Space skips, n goes to the next that is not decided, Home and End to the first and the last.")
  }

  view(which) {
    const figure = add(this.one, "figure", which)
    const image = add(figure, "img", ""), caption = add(figure, "figcaption", "")
    add(figure, "p", "absent")
    image.addEventListener("load", () => {
      image.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) <= 96)
      if (which === "self") this.root.dataset.shown = image.dataset.at
    })
    return { which, figure, image, caption }
  }

  begin({ n, at, labels, counts }) {
    Object.assign(this, { n, labels, counts })
    const all = [["accept", "a", () => this.decide("accept")], ["reject", "r", () => this.decide("reject")],
      ["undo", "u", () => this.undo()], ["grid", "g", () => this.toggle()],
      ["accept the rest of these", "A", () => this.acceptRest()]]
    for (const [text, key, act] of all) this.button(this.buttons, text, key, act).classList.add(text.split(" ").at(-1))
    this.digits = this.keysOf(labels)
    for (const [key, label] of this.digits) this.button(this.choices, label, key, () => this.decide("relabel", label))
    if (labels.length > 1) this.chooser()
    this.keys = {
      a: all[0][2], r: all[1][2], u: all[2][2], g: all[3][2], A: () => this.inGrid && this.acceptRest(), x: all[1][2],
      Delete: all[1][2], Backspace: all[2][2], l: () => this.filter?.focus(), n: () => this.next(),
      Enter: () => this.inGrid && this.toggle() }
    this.moves = {
      ArrowRight: () => 1, ArrowLeft: () => -1, " ": () => 1, Home: () => -this.n, End: () => this.n,
      ArrowDown: () => this.columns, ArrowUp: () => -this.columns, PageDown: () => this.perPage, PageUp: () => -this.perPage }
    this.tally(0)
    this.go(at)
  }

  keysOf(labels) { // [key, label] of up to ten labels: a label that is a digit has that key, others those that are left
    const free = [..."1234567890"].filter((key) => !labels.includes(key))
    const keys = labels.map((label) => [/^[0-9]$/.test(label) ? label : free.shift(), label])
    return new Map(keys.filter(([key]) => key !== undefined))
  }

  button(parent, text, key, act) {
    const button = add(parent, "button", "", text)
    button.type = "button"
    button.prepend(add(button, "kbd", "", key))
    button.addEventListener("click", act)
    return button
  }

  chooser() { // the first letters of a label, and Enter
    this.filter = add(this.choices, "input", "filter")
    this.filter.placeholder = "l: another label"
    this.filter.setAttribute("aria-label", "relabel: first letters of the label, then Enter")
    this.found = add(this.choices, "span", "found")
    this.filter.addEventListener("input", () => { this.found.textContent = this.matches().slice(0, 5).join(", ") })
  }

  matches() {
    const typed = this.filter.value.trim().toLowerCase()
    const exact = (label) => label.toLowerCase() !== typed
    return this.labels.filter((label) => label.toLowerCase().startsWith(typed)).sort((a, b) => exact(a) - exact(b))
  }

  // ---- keys

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || !this.keys) return
    if (e.target === this.filter) return this.typed(e)
    if (e.target.tagName === "BUTTON" && (e.key === " " || e.key === "Enter")) return
    const act = this.digits.has(e.key) ? () => this.decide("relabel", this.digits.get(e.key)) : this.keys[e.key]
    const far = this.moves[e.key]
    if (!act && !far) return
    e.preventDefault()
    e.stopPropagation()
    if (far) this.go(this.at + far())
    else if (!e.repeat) act()
  }

  typed(e) {
    e.stopPropagation()
    if (e.key !== "Enter" && e.key !== "Escape") return
    const [label] = this.filter.value.trim() ? this.matches() : []
    this.filter.value = this.found.textContent = ""
    this.root.focus({ preventScroll: true })
    if (e.key === "Enter" && label !== undefined) this.decide("relabel", label)
  }

  // ---- decisions

  decide(decision, label = "") {
    const at = this.at
    this.go(at + 1)
    return this.change(() => this.send([at], decision, label))
  }

  acceptRest() {
    const page = this.page()
    this.go(page.at(-1) + 1)
    return this.change(async () => {
      const rows = await Promise.all(page.map((at) => this.row(at)))
      const ats = page.filter((_, i) => !rows[i].decision)
      if (ats.length) await this.send(ats, "accept")
    })
  }

  undo() {
    return this.change(async () => {
      const { at, counts } = await this.line.ask("undo")
      if (at === null) throw new Error("there is nothing to undo")
      this.rows.clear()
      this.counts = counts
      this.go(at)
    })
  }

  async change(work) { // what is on its way to the disk is counted until Python says that it is there
    this.tally(1)
    await work().catch((error) => this.complain(error))
    this.tally(-1)
  }

  tally(more) {
    this.unsaved += more
    this.root.dataset.unsaved = this.unsaved
    this.saved.textContent = this.unsaved ? `${number(this.unsaved)} being saved` : "saved"
  }

  async send(ats, decision, label = "") { // what is shown runs ahead of the answer, and goes back where that is an error
    const rows = await Promise.all(ats.map((at) => this.row(at))), before = rows.map(({ decision, to }) => ({ decision, to }))
    for (const row of rows) {
      const own = decision === "relabel" && row.label === label
      Object.assign(row, own ? { decision: "accept", to: "" } : { decision, to: label })
    }
    this.repaint()
    try { this.counts = (await this.line.ask("decide", { ats, decision, label })).counts }
    catch (error) {
      rows.forEach((row, i) => Object.assign(row, before[i]))
      this.go(ats[0])
      throw error
    }
    this.paintHead()
  }

  next() {
    const found = this.line.ask("next", { at: this.at }).then(({ at }) => {
      if (at === null) throw new Error("every picture is decided")
      this.go(at)
    })
    return found.catch((error) => this.complain(error))
  }

  complain(error) { this.error.textContent = error.message }

  // ---- what is shown

  async row(at) {
    const first = at - at % CHUNK
    const { rows } = await this.rows.use(first, () => this.line.ask("rows", { first, most: CHUNK }).catch((error) => {
      this.rows.delete(first)
      throw error
    }))
    return rows[at - first]
  }

  picture(at, which, size) { // a promise of {url} or {absent: why}
    const kept = size === SHOWN ? this.large : this.small, key = `${which} ${at}`
    return kept.use(key, () => new Promise((resolve) => {
      this.queue.push({ at, which, size, resolve, forget: () => kept.delete(key) })
      this.fetch()
    }))
  }

  fetch() { // few at a time, so that a decision never waits behind many pictures; none that is far by now
    while (this.fetching < 3 && this.queue.length) {
      const { at, which, size, resolve, forget } = this.queue.shift()
      if (Math.abs(at - this.at) > 2 * this.perPage) { forget(); resolve({}); continue }
      this.fetching++
      this.line.ask("picture", { at, which, size }).catch((error) => ({ absent: error.message })).then((said) => {
        this.fetching--
        resolve(said)
        this.fetch()
      })
    }
  }

  go(at) {
    const before = this.page?.()[0]
    this.at = Math.max(0, Math.min(at, this.n - 1))
    this.error.textContent = ""
    if (this.inGrid && before !== this.page()[0]) this.fill()
    this.repaint()
  }

  repaint() { this.paint().catch((error) => this.complain(error)) }

  async paint() {
    const at = this.at, row = await this.row(at)
    if (at !== this.at) return
    this.paintHead()
    this.said.textContent = [row.path, row.why, row.made].filter(Boolean).join(" · ")
    if (this.inGrid) return this.paintTiles()
    this.one.dataset.decision = row.decision
    for (const view of this.views) this.show(view, at, row)
    for (let i = at + 1; i <= Math.min(at + AHEAD, this.n - 1); i++) {
      this.picture(i, "self", SHOWN)
      this.row(i).then((next) => next.source && this.picture(i, "source", SHOWN), () => {})
    }
  }

  async show({ which, figure, image, caption }, at, row) {
    const decided = { accept: "accepted", reject: "rejected", relabel: `now ${row.to}` }[row.decision]
    const texts = { self: [row.label, decided], source: [`source: ${row.source}`] }
    figure.hidden = which === "source" && !row.source
    caption.textContent = texts[which].filter(Boolean).join(" → ")
    if (figure.hidden || image.dataset.at === String(at)) return
    const { url, absent } = await this.picture(at, which, SHOWN)
    if (at !== this.at) return
    image.dataset.at = at
    image.alt = caption.textContent
    image.hidden = !url
    if (url) image.src = url
    else if (which === "self") this.root.dataset.shown = at
    figure.lastChild.textContent = absent ?? ""
  }

  paintHead() {
    const { accept, reject, relabel, left } = this.counts
    this.where.textContent = `${number(this.at + 1)} of ${number(this.n)}`
    this.bar.max = this.n
    this.bar.value = this.n - left
    this.count.textContent = `${number(accept)} accepted, ${number(reject)} rejected, ${number(relabel)} relabelled, ${number(left)} left`
  }

  // ---- the grid

  toggle() {
    this.inGrid = !this.inGrid
    this.root.classList.toggle("overview", this.inGrid)
    if (this.inGrid) this.fill()
    this.repaint()
  }

  get columns() { return this.inGrid ? Math.max(2, Math.floor(this.grid.clientWidth / 112)) : 1 }
  get perPage() { return this.inGrid ? this.columns * 5 : 10 }

  page() { // the numbers of the rows on the grid's page
    const first = this.at - this.at % this.perPage
    return Array.from({ length: Math.min(this.perPage, this.n - first) }, (_, i) => first + i)
  }

  fill() {
    this.grid.replaceChildren()
    this.grid.style.setProperty("--columns", this.columns)
    this.tiles = this.page().map((at) => {
      const tile = add(this.grid, "figure", "tile"), image = add(tile, "img", "")
      const caption = add(tile, "figcaption", "")
      tile.addEventListener("click", () => this.go(at))
      tile.addEventListener("dblclick", () => this.toggle())
      this.picture(at, "self", TILE).then(({ url, absent }) => {
        if (url) image.src = url
        image.alt = absent ?? ""
      })
      return { at, tile, caption }
    })
    for (const { at } of this.tiles) if (at + this.perPage < this.n) this.picture(at + this.perPage, "self", TILE)
  }

  async paintTiles() {
    for (const { at, tile, caption } of this.tiles) {
      const row = await this.row(at)
      tile.dataset.decision = row.decision
      tile.classList.toggle("at", at === this.at)
      caption.textContent = { accept: "✓ ", reject: "✗ ", relabel: "→ " }[row.decision] ?? ""
      caption.append(row.to || row.label)
    }
    this.root.dataset.shown = this.at
  }

  close() {
    window.removeEventListener("beforeunload", this.leaving)
    this.line.close()
  }
}

export default {
  render({ model, el }) {
    const page = new Page(model, el)
    return () => page.close()
  }
}
