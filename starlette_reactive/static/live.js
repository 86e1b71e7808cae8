// The client of live pages: opens their streams and applies the updates. It needs Idiomorph. htmx 2 or 4 is optional.
(() => {
  if (window.reactiveLive) return
  window.reactiveLive = true

  const WAITING = "data-live-waiting" // marks what is held while an update waits for it
  const FIELDS = "input,textarea,select"
  const TYPED = "input:not([type=hidden],[type=checkbox],[type=radio],[type=button],[type=submit],[type=reset],[type=image])" +
    ",textarea,select,[contenteditable]:not([contenteditable=false])"
  const inert = document.implementation.createHTMLDocument("") // loads no images and runs no scripts

  // What the server has rendered. An update changes what differs from that, and leaves alone what scripts and people did.

  const rendered = new WeakMap // a node of the page -> the same node as the server last rendered it
  const altered = new WeakSet // elements in which something else has changed something since

  const learn = (node, copy) => {
    rendered.set(node, copy)
    for (let child = node.firstChild, other = copy.firstChild; child && other;
      child = child.nextSibling, other = other.nextSibling) learn(child, other)
  }
  const markAltered = node => {
    for (let each = node; each; each = each.parentElement) altered.add(each)
  }
  const forget = node => {
    rendered.delete(node)
    markAltered(node)
  }
  const isUnchanged = (node, fresh) => {
    const last = rendered.get(node)
    return last && !altered.has(node) && last.isEqualNode(fresh) &&
      (!fresh.querySelector?.("template") || last.outerHTML == fresh.outerHTML)
  }

  // What people have typed or chosen, and what is held because somebody works in it.

  const submitted = new WeakMap // a field -> its value when it was sent successfully
  const swapped = new Map // an element that an answer has put into a block -> the id of what it has replaced

  const chosen = select => [...select.options].filter(each => each.selected).map(each => each.value)
  const valueOf = field => field.localName == "select" ? chosen(field).join("\n") : field.checked + field.value
  const isTouched = field =>
    field.localName == "select" ? [...field.options].some(each => each.defaultSelected) ?
      [...field.options].some(each => each.selected != each.defaultSelected) :
      !field.multiple && field.selectedIndex > 0 || field.multiple && chosen(field).length > 0 :
      field.value != field.defaultValue || field.localName == "input" && field.checked != field.defaultChecked
  const isDirty = field => isTouched(field) && submitted.get(field) != valueOf(field)
  const isEditable = node => node == document.activeElement && node.isContentEditable
  const someIn = (node, selector, test) =>
    node.matches(selector) && test(node) || [...node.querySelectorAll(selector)].some(test)
  const isWorkedIn = node => node.contains(document.activeElement) || someIn(node, FIELDS, isDirty)
  const isOpened = dialog => !rendered.get(dialog)?.hasAttribute("open")

  const isHeld = (node, fresh) =>
    node.matches("[data-live-hold]") || node.matches("dialog[open]") && isOpened(node) || isEditable(node) ||
    swapped.has(node) && !fresh.querySelector(TYPED)
  const mustStay = (node, root) =>
    node.nodeType == 1 && (
      someIn(node, "[data-live-hold]", () => true) || someIn(node, "dialog[open]", isOpened) ||
      node.contains(document.activeElement) && (isEditable(document.activeElement) ||
        document.activeElement.matches(FIELDS) && isDirty(document.activeElement)) ||
      [...swapped].some(([each, id]) => node.contains(each) &&
        (isWorkedIn(each) || id && root.querySelector("#" + CSS.escape(id)))))

  // Applying an update.

  let htmx4 // what htmx 4 gives to extensions
  const process = (node, again) => {
    if (node.nodeType != 1) return
    for (const script of [...node.querySelectorAll("script"), ...node.matches("script") ? [node] : []]) {
      const copy = document.createElement("script") // a script that was parsed with innerHTML would not run
      for (const each of script.attributes) copy.setAttribute(each.name, each.value)
      copy.text = script.text
      script.replaceWith(copy)
    }
    window.htmx?.process(node, again)
    if (!again && window.htmx && !htmx4) htmx.trigger(node, "htmx:load", { elt: node })
  }
  const release = nodes => {
    if (!htmx4 || !nodes.length) return
    const bin = document.createElement("div")
    bin.append(...nodes)
    htmx4.morph(bin, document.createDocumentFragment(), true)
  }
  const parse = (element, html) => {
    const context = inert.importNode(element, false)
    context.innerHTML = html
    return context
  }
  const syncField = (field, fresh, keeps) => {
    if (field.localName == "select") {
      const values = keeps && new Set(keeps)
      ;[...field.options].forEach((each, i) => {
        each.selected = values ? values.has(each.value) : fresh.options[i]?.selected
      })
    } else {
      for (const name of ["value", "checked"]) {
        if (field.localName != "input") continue
        if (!fresh.hasAttribute(name)) field.removeAttribute(name)
        else if (field.getAttribute(name) != fresh.getAttribute(name)) field.setAttribute(name, fresh.getAttribute(name))
      }
      if (keeps || field.type == "file") return
      if (field.value != fresh.value) field.value = fresh.value
      if (field.checked != fresh.checked) field.checked = fresh.checked
    }
  }

  // Returns whether a part of the element is held, so that the update has to be applied again later.
  const morph = (element, fresh) => {
    const held = [], added = [], removed = [], changed = new Set, dirty = new Map
    let now, source
    const hold = node => {
      held.push(node)
      return false
    }
    element.querySelectorAll(`[${WAITING}]`).forEach(node => node.removeAttribute(WAITING))
    Idiomorph.morph(element, fresh, {
      morphStyle: "outerHTML",
      callbacks: {
        beforeNodeMorphed(node, next) {
          if (isUnchanged(node, next)) return false
          if (node.nodeType != 1) return
          if (node != element && isHeld(node, next)) return hold(node)
          if (node.matches("[hx-preserve],[data-hx-preserve]")) return false
          now = next
          if (node.matches(FIELDS) && isDirty(node)) dirty.set(node, node.localName == "select" ? chosen(node) : [])
        },
        beforeAttributeUpdated(name, node) {
          if (name == "data-htmx-powered" || node.matches("input,textarea") && /^(value|checked)$/.test(name)) return false
          const last = rendered.get(node)
          if (last ? last.getAttribute(name) == now.getAttribute(name) : name == "open") return false
          if (/^(data-)?hx-/.test(name)) changed.add(node)
        },
        afterNodeMorphed(node, next) {
          if (node.nodeType == 1 && node.matches(FIELDS)) syncField(node, next, dirty.get(node))
          rendered.set(node, next)
          altered.delete(node)
        },
        beforeNodeAdded(next) {
          const id = next.nodeType == 1 && next.id
          const other = id && [...swapped].find(([each, replaced]) => replaced == id && element.contains(each))
          if (other) return hold(other[0])
          source = next
        },
        afterNodeAdded(node) {
          if (!rendered.has(node)) learn(node, source)
          added.push(node)
        },
        beforeNodeRemoved: node => mustStay(node, fresh) ? hold(node) : undefined,
        afterNodeRemoved: node => removed.push(node),
      },
    })
    held.forEach(node => {
      node.setAttribute(WAITING, "")
      markAltered(node.parentElement)
    })
    added.forEach(node => node.isConnected && process(node))
    changed.forEach(node => node.isConnected && process(node, true))
    release(removed)
    return held.length > 0
  }

  const apply = ({ id, swap, html }, element) => {
    let waits = false
    if (swap == "append") {
      for (const node of [...parse(element, html).childNodes]) process(element.appendChild(document.importNode(node, true)))
    } else if (swap == "inner") {
      const parent = inert.createElement("div"), fresh = parse(element, html)
      parent.append(fresh)
      waits = morph(element, fresh)
    } else {
      const parent = parse(element.parentElement, html)
      const fresh = parent.querySelector("#" + CSS.escape(id)) ?? parent.firstElementChild ??
        parent.appendChild(Object.assign(inert.createElement("template"), { id })) // so that the block finds its place again
      waits = morph(element, fresh)
    }
    for (const each of swapped.keys()) if (!each.isConnected) swapped.delete(each)
    return waits
  }

  // The page's own requests. An update of what one of them may replace waits for its answer.

  const requests = new Map // an XMLHttpRequest of htmx 2, or a context of htmx 4 -> what is known of it
  const waiting = new Map // the id of a block -> the update that is to be applied
  const latest = new Map // the id of a block -> its last update
  const covered = new Set // the ids of blocks that an own answer has shown, with all own changes
  let count = 0

  const blockIds = () => [...document.querySelectorAll("[data-reactive-sink]")]
    .flatMap(sink => (sink.dataset.reactiveBlocks ?? "").split(" ").filter(Boolean))
  const blocksAround = node => blockIds().map(id => document.getElementById(id)).filter(each => each?.contains(node))
  const isBusy = element => [...requests.values()].some(request =>
    request.nodes.some(node => node.contains(element) || element.contains(node)))

  const offer = id => {
    const update = waiting.get(id), element = document.getElementById(id)
    if (element && isBusy(element)) return
    waiting.delete(id)
    if (!element || update.own && covered.has(id)) return
    if (apply(update, element)) waiting.set(id, update)
    observer.takeRecords()
    fire("updated", { blocks: [id] })
  }
  const offerAll = () => [...waiting.keys()].forEach(offer)
  const receive = update => {
    if (update.swap == "append") {
      const element = document.getElementById(update.id)
      return element && apply(update, element)
    }
    const { id } = update, before = waiting.get(id)
    update.number = ++count
    waiting.delete(id) // so that updates are applied in the order in which they came
    if (before && !before.own) update.own = false
    if (!update.own) {
      covered.delete(id)
      requests.forEach(request => request.others.add(id))
    }
    latest.set(id, update)
    waiting.set(id, update)
    offer(id)
  }

  const note = (request, records) => {
    for (const { target, type, addedNodes, removedNodes } of records) {
      const element = target.nodeType == 1 ? target : target.parentElement
      if (!element) continue
      forget(element)
      for (const block of blocksAround(element)) {
        request.touched.add(block.id)
        if (type != "childList" || removedNodes.length) request.replaces = true
        for (const node of addedNodes)
          if (node.nodeType == 1 && node.isConnected && node != block && someIn(node, TYPED, () => true))
            swapped.set(node, request.replaced)
      }
      for (const node of addedNodes) if (node.nodeType == 1) blockIds().forEach(id => {
        const block = document.getElementById(id)
        if (block && node.contains(block)) request.touched.add(id)
      })
    }
  }
  const noteAll = records => requests.forEach(request => request.isSwapping && note(request, records))
  const changes = new MutationObserver(noteAll) // what answers change
  const begin = (key, element, target, verb) => {
    covered.clear()
    const form = /^get$/i.test(verb) ? null : element.closest("form")
    const fields = form ? [...form.elements].filter(each => each.matches(FIELDS)) : []
    const request = {
      nodes: [element, target].filter(each => each?.nodeType == 1), number: count, others: new Set, touched: new Set,
      replaced: target?.id, isAlone: !requests.size, fields: fields.map(each => [each, valueOf(each)]),
    }
    requests.forEach(each => { each.isAlone = false })
    requests.set(key, request)
  }
  const swapping = request => {
    request.isSwapping = true
    changes.observe(document, { childList: true, attributes: true, characterData: true, subtree: true })
  }
  const finish = (key, isOk, header, text, isGet) => {
    const request = requests.get(key)
    if (!request) return
    noteAll(changes.takeRecords())
    requests.delete(key)
    if (!requests.size) changes.disconnect()
    if (isOk) request.fields.forEach(([field, value]) => {
      submitted.set(field, value)
      forget(field)
    })
    const shown = new Set((header ?? "").split(" ").map(decodeURIComponent))
    const again = []
    for (const id of request.touched) {
      const last = latest.get(id), isOthers = request.others.has(id)
      if (isOk && shown.has(id) && request.isAlone && !isOthers) covered.add(id)
      if (last?.number > request.number && !waiting.has(id)) again.push({ ...last, own: !isOthers && last.own })
    }
    again.sort((one, other) => one.number - other.number).forEach(update => waiting.set(update.id, update))
    if (isOk && isGet && request.touched.size && request.replaces) follow(text)
    offerAll()
  }
  // An answer of the same page with another query was put into the page: updates are for that query from now on.
  const follow = text => {
    if (!text?.includes("data-reactive-sink")) return
    const found = new DOMParser().parseFromString(text, "text/html").querySelector("[data-reactive-sink]")
    const sink = document.querySelector("[data-reactive-sink]"), stream = streams.get(sink)
    if (!found || !stream || found.dataset.reactivePage != sink.dataset.reactivePage) return
    if (found.dataset.reactiveSink == sink.dataset.reactiveSink) return
    for (const each of found.attributes) if (/^(data-reactive-|sse-connect|hx-sse:connect)/.test(each.name))
      sink.setAttribute(each.name, each.value)
    stream.move()
  }

  const on = (name, listener) => document.addEventListener(name, listener)
  const mark = headers => {
    const sink = document.querySelector("[data-reactive-sink]")
    if (sink) headers["Reactive-Origin"] = sink.dataset.reactiveSink
  }
  // htmx 2
  on("htmx:configRequest", ({ detail }) => mark(detail.headers))
  on("htmx:beforeSend", ({ detail }) => {
    const { xhr, elt, target, requestConfig } = detail
    begin(xhr, elt, target, requestConfig.verb)
    // The swap can come later, and the element that would tell of its end may be gone.
    xhr.addEventListener("loadend", () => setTimeout(finish2, requests.get(xhr)?.swap?.shouldSwap ? 200 : 0, detail))
  })
  on("htmx:beforeSwap", ({ detail }) => {
    const request = requests.get(detail.xhr)
    if (!request) return
    request.swap = detail
    swapping(request)
  })
  const finish2 = ({ xhr, successful, requestConfig }) => finish(
    xhr, successful, xhr.getResponseHeader("Reactive-Blocks"), xhr.responseText, requestConfig.verb == "get")
  on("htmx:afterSettle", ({ detail }) => detail.xhr && finish2(detail))
  // htmx 4
  const isSink = ctx => ctx.sourceElement?.matches?.("[data-reactive-sink]")
  on("htmx:config:request", event => {
    if (isSink(event.detail.ctx)) event.preventDefault()
    else mark(event.detail.ctx.request.headers)
  })
  on("htmx:before:request", ({ detail: { ctx } }) =>
    begin(ctx, ctx.sourceElement, ctx.target, ctx.request.method))
  on("htmx:before:response", ({ detail: { ctx } }) => {
    if (/event-stream/.test(ctx.response.headers.get("Content-Type"))) requests.delete(ctx) // it may never end
  })
  on("htmx:before:swap", ({ detail: { ctx } }) => requests.has(ctx) && swapping(requests.get(ctx)))
  on("htmx:finally:request", ({ detail: { ctx } }) => finish(
    ctx, ctx.response?.status < 400, ctx.response?.headers.get("Reactive-Blocks"), ctx.text,
    /^get$/i.test(ctx.request.method)))

  // Streams.

  const streams = new Map // a sink -> its stream
  const fire = (name, detail, where = document) =>
    (where.isConnected ? where : document).dispatchEvent(new CustomEvent("reactive:" + name, { bubbles: true, detail }))
  const show = (state, name, detail, sink) => {
    if (document.documentElement.dataset.live == state) return
    document.documentElement.dataset.live = state
    fire(name, detail, sink)
  }

  const open = sink => {
    const silence = 2500 * (Number(sink.dataset.reactiveBeat) || 15)
    let source, last, watch, retry, loss, pause = 500, patience = silence, isOver = false
    const stop = () => {
      [watch, retry, loss].forEach(clearTimeout)
      loss = source?.close()
      source = null
    }
    const lose = (delay = 1000) => {
      loss ||= setTimeout(show, delay, "reconnecting", "lost", {}, sink)
    }
    const wait = () => {
      clearTimeout(watch)
      watch = setTimeout(() => {
        patience = patience < silence ? Math.min(2 * patience, silence) : 1000 // the path may be frozen
        start()
        lose(0)
      }, patience)
    }
    const hear = event => {
      last = event.lastEventId || last
      patience = silence
      wait()
    }
    const start = () => {
      stop()
      if (isOver || document.hidden) return
      const url = sink.dataset.reactiveUrl ?? sink.getAttribute("sse-connect")
      source = new EventSource(url + "&script=1" + (last ? "&resume=" + encodeURIComponent(last) : ""))
      wait()
      source.onopen = () => {
        pause = 500
        patience = silence
        wait()
        loss = clearTimeout(loss)
        show("connected", "connected", {}, sink)
      }
      source.onerror = () => {
        lose()
        if (source?.readyState != EventSource.CLOSED) return // it reconnects by itself
        retry = setTimeout(start, pause * (0.5 + Math.random()))
        pause = Math.min(2 * pause, 32000)
      }
      source.onmessage = event => {
        hear(event)
        const end = event.data.indexOf("\n"), head = end < 0 ? event.data : event.data.slice(0, end)
        receive({ ...JSON.parse(head), html: end < 0 ? "" : event.data.slice(end + 1) })
      }
      for (const name of ["beat", "restart"]) source.addEventListener("reactive-" + name, hear)
      source.addEventListener("reactive-close", ({ data }) => {
        close()
        show("ended", "ended", { reason: data }, sink)
      })
    }
    const wake = event => {
      if (event.type != "pageshow" || event.persisted)
        if (document.hidden || source?.readyState != EventSource.OPEN) start()
    }
    const close = () => {
      isOver = true
      stop()
      document.removeEventListener("visibilitychange", wake)
      for (const name of ["online", "pageshow"]) window.removeEventListener(name, wake)
    }
    document.addEventListener("visibilitychange", wake)
    for (const name of ["online", "pageshow"]) window.addEventListener(name, wake)
    const move = () => {
      last = "unknown" // so that every block is sent
      isOver = false
      start()
    }
    start()
    return { close, move }
  }

  const look = () => {
    for (const [sink, stream] of streams) if (!sink.isConnected) {
      stream.close()
      streams.delete(sink)
    }
    for (const sink of document.querySelectorAll("[data-reactive-sink]")) if (!streams.has(sink)) {
      for (const id of (sink.dataset.reactiveBlocks ?? "").split(" ")) {
        const block = id && document.getElementById(id)
        if (block) learn(block, inert.importNode(block, true))
      }
      streams.set(sink, open(sink))
    }
  }

  let isDue = false
  const lookAgain = () => {
    look()
    if (isDue || !waiting.size) return
    isDue = true
    setTimeout(() => {
      isDue = false
      offerAll()
    })
  }
  const observer = new MutationObserver(lookAgain)
  for (const name of ["focusout", "close", "input", "reset"]) document.addEventListener(name, () => setTimeout(lookAgain), true)

  const ready = () => {
    const { htmx } = window
    htmx?.registerExtension?.("reactive", { init: api => { htmx4 = api } })
    htmx?.defineExtension?.("reactive", {
      isInlineSwap: style => /^(inner|outer)Morph$/.test(style),
      handleSwap(style, target, fragment) {
        if (!/^(inner|outer)Morph$/.test(style)) return false
        return Idiomorph.morph(target, [...fragment.childNodes], { morphStyle: style == "innerMorph" ? "innerHTML" : "outerHTML" })
      },
    })
    if (htmx?.defineExtension) {
      const names = document.body.getAttribute("hx-ext")
      document.body.setAttribute("hx-ext", names ? names + ",reactive" : "reactive")
      // The script opens the streams of sinks, so the extension for Server-Sent Events must not.
      const other = htmx.createEventSource ?? (url => new EventSource(url, { withCredentials: true }))
      htmx.createEventSource = url =>
        [...streams.keys()].some(sink => sink.getAttribute("sse-connect") == url) ?
          Object.assign(new EventTarget, { close() {} }) : other(url)
    }
  }
  const start = () => {
    look()
    observer.observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-live-hold", "open"] })
    if (document.readyState == "complete") ready()
    else window.addEventListener("DOMContentLoaded", ready, true) // before htmx looks at the page
  }
  // As soon as the page is parsed, and before deferred scripts change it.
  if (document.readyState == "loading") document.addEventListener("readystatechange", start, { once: true })
  else start()
})()
