// The client of live pages: opens their streams and applies the updates. It needs Idiomorph; htmx 2 or 4 is optional.
(() => {
  if (window.reactiveLive) return
  window.reactiveLive = true

  const FIELDS = "input,textarea,select"
  const SYNCED = "input,textarea,option"
  const STATES = ["value", "checked", "selected"]
  const TYPED = ":read-write,select"
  // A document that loads no images and runs no scripts.
  const inert = document.implementation.createHTMLDocument("")
  const root = document.documentElement.dataset
  const nonce = document.currentScript?.nonce
  const byId = id => document.getElementById(id)
  const find = (node, id) => id && node.querySelector("#" + CSS.escape(id))
  const all = (node, selector) => [...node.matches(selector) ? [node] : [], ...node.querySelectorAll(selector)]
  const sinks = () => [...document.querySelectorAll("[data-reactive-sink]")]
  // Which stream a sink asks for. A page that is morphed into another keeps its sink.
  const urlOf = sink => sink.isConnected && sink.getAttribute("sse-connect")
  const idsOf = sink => (sink.dataset.reactiveBlocks ?? "").split(" ")
  // The ids of live elements, and these, or null. A form with a field named id hides its own.
  const blocks = () => sinks().flatMap(idsOf).map(id => [id, byId(id)])

  // An update changes what the server renders in another way than before. It leaves alone what scripts and people did.

  // A node of the page -> the same node as the server has last rendered it.
  const rendered = new WeakMap
  // Elements in which something else than an update has changed something since.
  const altered = new WeakSet

  const learn = (node, copy = inert.importNode(node, true)) => {
    rendered.set(node, copy);
    (node.shadowRoot ?? node.content)?.childNodes?.forEach(child => learn(child))
    // A custom element may have added nodes of its own.
    if (node.childNodes.length == copy.childNodes.length)
      node.childNodes.forEach((child, i) => learn(child, copy.childNodes[i]))
  }
  const markAltered = node => {
    for (; node; node = node.parentElement) altered.add(node)
  }
  const forget = node => {
    rendered.delete(node)
    markAltered(node)
  }
  const isUnchanged = (node, fresh) => {
    const last = rendered.get(node)
    // Templates with different contents are equal nodes.
    return last && !altered.has(node) && last.isEqualNode(fresh) && last.outerHTML == fresh.outerHTML
  }

  // What people work in is held.

  // Fields in which somebody has typed or chosen what was not sent.
  const touched = new WeakSet
  // An element that an answer has put into a block -> the id of what it has replaced, and that as it was last rendered.
  const swapped = new Map

  const valueOf = field => field.checked + field.value + chosen(field)
  const chosen = field => [...field.selectedOptions ?? []].map(option => option.value)
  const isOpened = dialog => !rendered.get(dialog)?.hasAttribute("open")
  const isHeld = (node, fresh) =>
    node.matches("[data-live-hold]") || node.matches("dialog[open]") && isOpened(node) ||
    node == document.activeElement && node.isContentEditable || swapped.has(node) && !fresh.querySelector(TYPED)
  const mustStay = (node, fresh) => {
    const active = document.activeElement
    return node.nodeType == 1 && (
      all(node, "[data-live-hold]")[0] || all(node, "dialog[open]").some(isOpened) ||
      node.contains(active) && (active.isContentEditable || touched.has(active)) ||
      [...swapped].some(([form, { id }]) => node.contains(form) && (
        form.contains(active) || all(form, FIELDS).some(field => touched.has(field)) ||
        find(fresh, id))))
  }

  // Updates.

  let htmx2, htmx4
  const process = (node, again) => {
    if (node.nodeType != 1 || !node.isConnected) return
    // A script that was parsed for a fragment does not run.
    if (!again) for (const script of all(node, "script")) {
      const copy = document.createRange().createContextualFragment(script.outerHTML).firstChild
      // The policy of the page knows the nonce with which it was loaded.
      if (script.nonce) copy.nonce = nonce
      script.replaceWith(copy)
    }
    window.htmx?.process(node, again)
    if (!again && window.htmx && !htmx4) htmx.trigger(node, "htmx:load", { elt: node })
  }
  const setInner = (element, html) => {
    // After these tags the parser drops a line break. In a fragment it sees no tag.
    element.innerHTML = element.matches("pre,textarea") ? html.replace(/^\n/, "") : html
  }
  const parse = (element, html) => {
    const context = inert.importNode(element, false)
    setInner(context, html)
    // The copy of a field has its value.
    if (context.matches("textarea")) context.value = context.defaultValue
    return context
  }
  // A template that is a shadow root in a page, and the closed roots that were made of it.
  const SHADOW = "template[shadowrootmode]"
  const closed = new WeakMap
  const attach = (host, template) => {
    // Some elements have none, in a page either.
    try {
      const root = host.shadowRoot ?? closed.get(host) ?? host.attachShadow({
        mode: template.shadowRootMode, delegatesFocus: template.shadowRootDelegatesFocus,
      })
      closed.set(host, root)
      template.remove()
      return root
    } catch {}
  }
  const fill = (root, template) => {
    root.replaceChildren(template.content)
    root.childNodes.forEach(attachAll)
  }
  const attachAll = node => {
    if (node.matches) for (const template of all(node, "template")) {
      const root = template.matches(SHADOW) && attach(template.parentElement, template)
      if (root) fill(root, template)
      else template.content.childNodes.forEach(attachAll)
    }
  }

  const discard = nodes => {
    // htmx 4 forgets what it removes itself.
    const bin = new DocumentFragment
    bin.append(...nodes)
    htmx4?.morph(bin, new DocumentFragment, true)
  }

  // Returns whether something in the element is held, so that the update has to be applied again later.
  const morph = (element, fresh, isAnswer) => {
    const held = [], added = [], removed = [], bare = [], changed = new Set, kept = new Map, stamped = new Map
    let now, source
    const hold = (node, next) => {
      // What an answer has replaced and nobody has changed since waits for nothing.
      if (!next || !swapped.get(node)?.last?.isEqualNode(next)) held.push(node)
      return false
    }
    element.querySelectorAll("[data-live-waiting]").forEach(node => node.removeAttribute("data-live-waiting"))
    const options = {
      callbacks: {
        beforeNodeMorphed(node, next) {
          if (isUnchanged(node, next)) {
            rendered.set(node, next)
            return false
          }
          if (node.nodeType != 1) return
          if (!isAnswer && (node != element || node.matches("[data-live-hold]")) && isHeld(node, next)) return hold(node, next)
          if (node.matches("[hx-preserve],[data-hx-preserve]")) return false
          const template = next.querySelector(":scope>" + SHADOW), root = template && attach(node, template)
          if (root) node.isConnected ? Idiomorph.morph(root, template.content, { ...options, morphStyle: "innerHTML" }) : fill(root, template)
          else if (node.shadowRoot && !customElements.get(node.localName)) bare.push([node, next])
          now = next
          const field = node.closest(FIELDS)
          if (field && !kept.has(field)) kept.set(field, touched.has(field) && chosen(field))
        },
        beforeAttributeUpdated(name, node) {
          if (name == "data-htmx-powered" || node.matches(SYNCED) && STATES.includes(name)) return false
          const last = rendered.get(node)
          if (last ? last.getAttribute(name) == now.getAttribute(name) : name == "open") return false
          if (/^(data-)?hx-/.test(name)) changed.add(node)
        },
        afterNodeMorphed(node, next) {
          const isKept = kept.get(node)
          if (node.matches?.(SYNCED)) for (const name of STATES) {
            // From now on an attribute does not check it.
            if (isKept) node.checked = node.checked
            if (next.hasAttribute(name)) node.setAttribute(name, next.getAttribute(name))
            else node.removeAttribute(name)
            if (!isKept && node.type != "file" && node[name] != next[name]) node[name] = next[name]
          }
          rendered.set(node, next)
          altered.delete(node)
          swapped.delete(node)
        },
        beforeNodeAdded(next) {
          for (const [form, { id }] of swapped)
            if (!isAnswer && id && id == next.id && element.contains(form)) return hold(form, next)
          source = next
        },
        afterNodeAdded(node) {
          if (!rendered.has(node)) learn(node, source)
          attachAll(node)
          added.push(node)
        },
        beforeNodeRemoved: node => !stamped.has(node) &&
          (isAnswer || !mustStay(node, fresh) || hold(node, find(fresh, swapped.get(node)?.id))),
        afterNodeRemoved: node => removed.push(node),
      },
    }
    // What a script has made of a template. An id keeps it from being treated as something else.
    for (const node of element.querySelectorAll("template~*")) if (!rendered.has(node) && rendered.has(node.parentNode)) {
      node.id ||= "-"
      stamped.set(node, node.previousElementSibling)
    }
    Idiomorph.morph(element, fresh, options)
    for (const [node, before] of stamped) {
      if (before.isConnected && node.previousElementSibling != before) before.after(node)
      if (node.id == "-") node.removeAttribute("id")
    }
    for (const [field, values] of kept) for (const option of field.options ?? [])
      option.selected = values ? values.includes(option.value) : option.defaultSelected
    // A shadow root can't be taken away.
    for (const [node, next] of bare) {
      source = next
      node.replaceWith(now = document.importNode(next, true))
      options.callbacks.afterNodeAdded(now)
    }
    for (const node of held) {
      node.setAttribute("data-live-waiting", "")
      markAltered(node.parentElement)
    }
    added.forEach(node => process(node))
    changed.forEach(node => process(node, true))
    discard(removed)
    for (const form of swapped.keys()) if (!form.isConnected) swapped.delete(form)
    return held.length
  }
  // Idiomorph takes a node as it is if that has a parent.
  const within = node => inert.createElement("div").appendChild(node)
  const htmlOf = update => update.html ??= update.parts.join("")
  const apply = (update, element) => {
    const { id, swap, number } = update, html = htmlOf(update)
    if (swap == "append") {
      for (const node of [...parse(element, html).childNodes])
        process(element.appendChild(document.importNode(node, true)))
      return
    }
    const isInner = swap == "inner", fresh = parse(isInner ? element : element.parentElement, html)
    // Blocks inside this one may have been updated since.
    for (const [inner, last] of latest) if (last.number > number) {
      const node = find(fresh, inner)
      if (node && last.swap == "inner") setInner(node, htmlOf(last))
      else if (node) node.outerHTML = htmlOf(last)
    }
    // A block that is empty leaves a template behind, so that it finds its place again.
    return morph(element, isInner ? within(fresh) : find(fresh, id) ?? fresh.firstElementChild ??
      fresh.appendChild(Object.assign(inert.createElement("template"), { id })))
  }

  // A list of rows has parts: what precedes the rows, each row, and what follows them. An update names the parts of the
  // last one that it keeps.

  // The part as an element, and the white space around it. Nothing if there is something else.
  const rowOf = (parent, part) => {
    const nodes = parse(parent, part), row = nodes.firstElementChild
    if (row?.id && [...nodes.childNodes].every(node => node == row || node.nodeType == 3 && !node.data.trim()))
      return { row, before: row.previousSibling?.data ?? "", after: row.nextSibling?.data ?? "" }
  }
  // Changes only the rows that differ, in the page and in its copy. Returns nothing if only the whole list will do.
  const applyRows = (update, last, element) => {
    const template = inert.createElement("template"), end = last.parts.length - 1
    template.innerHTML = last.parts[1]
    const first = byId(template.content.firstElementChild?.id), parent = first?.parentNode, copy = rendered.get(parent)
    if (swapped.size || parent?.closest("select") || !element.contains(parent) || copy?.childElementCount != parent.childElementCount) return
    const children = [...parent.children], copies = [...copy.children], start = children.indexOf(first) - 1
    if (!children.every((child, i) => rendered.get(child) == copies[i])) return
    // The rows that are most and keep their order stay where they are. All others are moved.
    const runs = update.rows.filter(piece => piece.length), staying = new Set
    runs.forEach((run, i) => {
      run.before = runs.slice(0, i).reduce((best, each) => each[0] < run[0] && each.sum > (best?.sum ?? 0) ? each : best, null)
      run.sum = run[1] + (run.before?.sum ?? 0)
    })
    for (let run = runs.at(-1); run; run = run.before) staying.add(run)
    // What is removed and what is added between two rows that stay.
    const gaps = [], fresh = [...update.fresh]
    let at = 0, added = []
    for (const piece of update.rows) {
      const [from, count] = piece.length ? piece : []
      if (!piece.length) added.push(...fresh.splice(0, piece))
      else if (!staying.has(piece)) added.push(...last.parts.slice(from, from + count))
      else {
        if (from > at || added.length) gaps.push({ removed: last.parts.slice(at, from), added, at, next: from })
        added = []
        at = from + count
      }
    }
    if (at <= end || added.length || update.rows[0][0] !== 0) return
    // The ids of rows that are removed or moved -> their elements.
    const old = new Map, wanted = new Set, read = part => rowOf(parent, part)
    let space
    for (const gap of gaps) {
      gap.removed = gap.removed.map(read)
      gap.added = gap.added.map(read)
      for (const each of [...gap.removed, ...gap.added])
        if (!each || (space ??= each).before != each.before || space.after != each.after) return
      for (const [i, { row }] of gap.removed.entries()) {
        const element = children[start + gap.at + i]
        if (element?.id != row.id || old.has(row.id)) return
        old.set(row.id, element)
      }
      for (const { row } of gap.added) {
        if (wanted.has(row.id)) return
        wanted.add(row.id)
      }
    }
    for (const gap of gaps) {
      const names = rows => rows.map(({ row }) => row.id), left = names(gap.removed), right = names(gap.added)
      const kept = left.filter(id => right.includes(id))
      if (kept.join() != right.filter(id => left.includes(id)).join()) return
      const leaving = left.filter(id => !kept.includes(id))
      Object.assign(gap, { kept, leaving, first: old.get(kept[0]) })
      gap.previous = gap.at > 1 && children[start + gap.at - 1]
      gap.following = gap.next < end && children[start + gap.next]
      if (gap.added.some(({ row }) => old.has(row.id) ? isHeld(old.get(row.id), row) : byId(row.id)) ||
        leaving.some(id => wanted.has(id) ? old.get(id).contains(document.activeElement) : mustStay(old.get(id), copy))) return
      // White space is as a reload shows it if it is the same around all rows.
      if (leaving[0] || gap.added.length > kept.length) {
        const stays = (node, part) => {
          const found = node && read(part)
          return !node || found?.row.id == node.id && found.before == space.before && found.after == space.after
        }
        if (!gap.previous && !gap.following || !stays(gap.previous, last.parts[gap.at - 1]) ||
          !stays(gap.following, last.parts[gap.next])) return
      }
    }
    let held = 0
    const text = space ? space.after + space.before : ""
    const remove = (node, isLast) => {
      const beside = isLast ? node.previousSibling : node.nextSibling
      if (text && beside?.nodeType == 3) beside.remove()
      node.remove()
    }
    for (const { leaving, following } of gaps) {
      for (const node of leaving.map(id => old.get(id))) {
        remove(rendered.get(node), !following)
        remove(node, !following)
      }
      discard(leaving.filter(id => !wanted.has(id)).map(id => old.get(id)))
    }
    for (const { added, kept, first, previous, following } of gaps) {
      let before = previous
      for (const { row } of added) {
        let node = old.get(row.id)
        if (kept.includes(row.id)) rendered.get(node).replaceWith(row)
        else {
          node ||= document.importNode(row, true)
          // Before the first row stands what precedes all rows.
          const anchor = before || first || following, copy = rendered.get(anchor)
          if (before) {
            anchor.after(text, node)
            copy.after(text, row)
          } else {
            anchor.before(node, text)
            copy.before(row, text)
          }
        }
        if (old.has(row.id)) {
          held += morph(node, row)
          node = byId(row.id)
        } else {
          learn(node, row)
          attachAll(node)
          process(node)
        }
        before = node
      }
    }
    return { held }
  }

  // What the page's own requests may replace waits for their answers.

  // An XMLHttpRequest of htmx 2, or a context of htmx 4 -> what is known of the request.
  const requests = new Map
  // The id of a block -> the update that waits, and the last one that has come.
  const waiting = new Map, latest = new Map
  // The ids of blocks that an answer shows with all changes of the page's own.
  const covered = new Set
  let count = 0

  const isBusy = element => [...requests.values()].some(({ nodes }) =>
    nodes.some(node => node.contains(element) || element.contains(node)))
  const uncover = element => {
    for (const [id, block] of blocks()) if (block?.contains(element) || element.contains(block)) {
      covered.delete(id)
      requests.forEach(({ others }) => others.add(id))
    }
  }
  const offer = id => {
    const update = waiting.get(id), element = byId(id)
    if (element && isBusy(element)) return
    waiting.delete(id)
    if (!element || update.url != urlOf(update.sink) || update.own && covered.has(id)) return
    uncover(element)
    note(changes.takeRecords())
    const { held: before, last } = update
    update.last = null
    update.held = (last?.shown == element && applyRows(update, last, element) || { held: apply(update, element) }).held
    for (const each of latest.values())
      if (each.shown && (element.contains(each.shown) || each.shown.contains(element))) each.shown = null
    // What it shows is exactly this.
    update.shown = !update.held && element
    if (update.held) waiting.set(id, update)
    observer.takeRecords()
    changes.takeRecords()
    // An update that waits for what is held is applied again whenever something happens in the page.
    if (update.held != before || !before) fire("updated", { blocks: [id] })
  }
  const offerAll = () => [...waiting.keys()].forEach(offer)
  const receive = update => {
    const { id } = update, element = byId(id)
    if (update.swap == "append") return element && apply(update, element)
    const last = latest.get(id), { rows, html, sink, v } = update
    if (rows && last?.v != update.base) return restart(sink)
    if (v) {
      // The copies of rows that have not changed are these very texts.
      const fresh = html.split("\x1e"), parts = [...fresh]
      Object.assign(update, { fresh, html: rows && undefined, last: rows && last })
      update.parts = !rows ? fresh : rows.flatMap(piece =>
        piece.length ? last.parts.slice(piece[0], piece[0] + piece[1]) : parts.splice(0, piece))
      if (last) last.last = null
    }
    update.number = ++count
    // It goes to the end: updates are applied in the order in which they came.
    waiting.delete(id)
    if (!update.own && element) uncover(element)
    latest.delete(id)
    latest.set(id, update)
    waiting.set(id, update)
    offer(id)
  }

  const touch = (request, id) => {
    request.touched.add(id)
    if (latest.has(id)) Object.assign(latest.get(id), { shown: null, last: null })
  }
  // What an answer changes in the page.
  const note = records => requests.forEach(request => {
    if (request.isSwapping) for (const { target, type, addedNodes, removedNodes } of records) {
      const element = target.nodeType == 1 ? target : target.parentElement
      if (!element) continue
      forget(element)
      const nodes = [...addedNodes].filter(node => node.nodeType == 1)
      for (const [id, block] of blocks()) if (block?.contains(element)) {
        touch(request, id)
        if (type != "childList" || removedNodes.length) request.replaces = true
        for (const node of nodes)
          if (node.isConnected && node != block && all(node, TYPED)[0]) swapped.set(node, request.replaced)
      } else if (nodes.some(node => node.contains(block))) touch(request, id)
    }
  })
  const changes = new MutationObserver(note)
  const begin = (key, element, target, verb) => {
    const isGet = /^get$/i.test(verb), fields = isGet ? [] : [...element.closest("form")?.elements ?? all(element, FIELDS)]
    covered.clear()
    requests.forEach(request => { request.isAlone = false })
    requests.set(key, {
      nodes: [element, target, ...fields].filter(each => each?.nodeType == 1), isGet, number: count,
      replaced: { id: target?.id, last: rendered.get(target) },
      isAlone: !requests.size, others: new Set, touched: new Set,
      fields: fields.map(field => [field, valueOf(field)]),
    })
  }
  const swapping = request => {
    request.isSwapping = true
    changes.observe(document, { childList: true, attributes: true, characterData: true, subtree: true })
    return request
  }
  const finish = (key, isOk, header, text) => {
    const request = requests.get(key)
    if (!request) return
    note(changes.takeRecords())
    requests.delete(key)
    if (!requests.size) changes.disconnect()
    const shown = (header ?? "").split(" ").map(decodeURIComponent), again = []
    if (isOk) for (const [field, value] of request.fields) if (valueOf(field) == value) {
      touched.delete(field)
      forget(field)
    }
    // A form that is saved without being replaced.
    for (const form of swapped.keys())
      if (isOk && form.contains(request.fields[0]?.[0]) && !all(form, FIELDS).some(field => touched.has(field))) swapped.delete(form)
    for (const id of request.touched) {
      const last = latest.get(id), isOthers = request.others.has(id)
      if (isOk && shown.includes(id) && request.isAlone && !isOthers) covered.add(id)
      if (last?.number > request.number && !waiting.has(id)) again.push({ ...last, own: !isOthers && last.own, held: 0 })
    }
    for (const update of again.sort((one, other) => one.number - other.number)) waiting.set(update.id, update)
    if (isOk && request.isGet && request.replaces) follow(text)
    offerAll()
  }
  // An answer of the same page, with another query, has replaced something: updates are for that query from now on.
  const follow = text => {
    const [sink] = sinks(), found = text?.includes("data-reactive-sink") &&
      new DOMParser().parseFromString(text, "text/html").querySelector("[data-reactive-sink]")
    if (!found || !streams.has(sink) || found.dataset.reactivePage != sink.dataset.reactivePage ||
      found.dataset.reactiveSink == sink.dataset.reactiveSink) return
    for (const attribute of found.attributes) sink.setAttributeNode(attribute.cloneNode())
    restart(sink)
  }
  // From now on, the server assumes nothing of what the page shows.
  const restart = sink => {
    streams.get(sink)?.close()
    streams.set(sink, open(sink, "unknown"))
  }

  // An answer that is on its way belongs to the page that the person has left.
  window.addEventListener("popstate", () => requests.clear(), true)
  const on = (name, listener) => document.addEventListener("htmx:" + name, listener)
  const mark = headers => {
    const [sink] = sinks()
    if (sink) headers["Reactive-Origin"] = sink.dataset.reactiveSink
  }
  // htmx 2
  const finish2 = ({ xhr, successful }) =>
    finish(xhr, successful, xhr.getResponseHeader("Reactive-Blocks"), xhr.responseText)
  on("configRequest", ({ detail }) => mark(detail.headers))
  on("beforeSend", ({ detail }) => {
    const { xhr, elt, target, requestConfig } = detail
    begin(xhr, elt, target, requestConfig.verb)
    // The swap can come later, and the element that would report its end may be gone.
    xhr.addEventListener("loadend", () => {
      const { swapDelay, settleDelay } = htmx2.getSwapSpecification(elt)
      setTimeout(finish2, requests.get(xhr)?.swap?.shouldSwap ? 200 + swapDelay + settleDelay : 0, detail)
    })
  })
  on("beforeSwap", ({ detail }) => {
    const request = requests.get(detail.xhr)
    if (request) swapping(request).swap = detail
  })
  on("afterSettle", ({ detail }) => detail.xhr && finish2(detail))
  // htmx 4
  on("config:request", event => {
    const { sourceElement, request } = event.detail.ctx
    if (sourceElement.matches?.("[data-reactive-sink]")) event.preventDefault()
    else mark(request.headers)
  })
  on("before:request", ({ detail: { ctx } }) => begin(ctx, ctx.sourceElement, ctx.target, ctx.request.method))
  on("before:response", ({ detail: { ctx } }) => {
    // A stream may never end.
    if (/event-stream/.test(ctx.response.headers.get("Content-Type"))) requests.delete(ctx)
  })
  on("before:swap", ({ detail: { ctx } }) => requests.has(ctx) && swapping(requests.get(ctx)))
  on("finally:request", ({ detail: { ctx } }) =>
    finish(ctx, ctx.response?.status < 400, ctx.response?.headers.get("Reactive-Blocks"), ctx.text))

  // Streams.

  // A sink -> its stream.
  const streams = new Map
  const fire = (name, detail) =>
    document.body.dispatchEvent(new CustomEvent("reactive:" + name, { bubbles: true, detail }))

  const open = (sink, last) => {
    const silence = 2500 * (+sink.dataset.reactiveBeat || 15), life = new AbortController, { signal } = life
    const url = urlOf(sink)
    let source, watch, retry, loss, pause = 500, patience = silence, isHeard
    const show = (state, name = state, detail = {}) => {
      if (root.live == state) return
      root.live = state
      fire(name, detail)
    }
    const stop = () => {
      [watch, retry, loss].forEach(clearTimeout)
      loss = source?.close()
      source = null
    }
    const lose = delay => {
      loss ||= setTimeout(show, delay, "reconnecting", "lost")
    }
    const wait = () => {
      clearTimeout(watch)
      watch = setTimeout(() => {
        // The path may be frozen. So may be connections that the browser has kept.
        patience = isHeard ? 1000 : Math.min(2 * patience, 64000)
        isHeard = false
        start()
        lose(0)
      }, patience)
    }
    const hear = event => {
      last = event.lastEventId || last
      patience = silence
      isHeard = true
      wait()
    }
    const start = () => {
      stop()
      if (signal.aborted || document.hidden) return
      source = new EventSource(url + "&script=1&rows=1" + (last ? "&resume=" + encodeURIComponent(last) : ""))
      wait()
      source.onopen = () => {
        patience = Math.max(patience, silence)
        wait()
        pause = 500
        loss = clearTimeout(loss)
        show("connected")
      }
      source.onerror = () => {
        lose(1000)
        // Else it reconnects by itself.
        if (source?.readyState != 2) return
        retry = setTimeout(start, pause * (0.5 + Math.random()))
        pause = Math.min(2 * pause, 32000)
      }
      source.onmessage = event => {
        hear(event)
        const [head, ...lines] = event.data.split("\n")
        receive({ ...JSON.parse(head), html: lines.join("\n"), sink, url })
      }
      source.addEventListener("reactive-beat", hear)
      source.addEventListener("reactive-restart", hear)
      source.addEventListener("reactive-close", ({ data }) => {
        close()
        show("ended", "ended", { reason: data })
      })
    }
    const close = () => {
      life.abort()
      stop()
    }
    for (const name of ["visibilitychange", "online", "pageshow"]) window.addEventListener(name, event => {
      if ((name != "pageshow" || event.persisted) && (document.hidden || source?.readyState != 1)) start()
    }, { signal })
    start()
    return { close, url }
  }

  // What there is to do in the page now.
  const look = () => {
    for (const [sink, stream] of streams) if (stream.url != urlOf(sink)) {
      stream.close()
      streams.delete(sink)
    }
    for (const sink of sinks()) if (!streams.has(sink)) {
      for (const block of idsOf(sink).map(byId)) if (block) learn(block)
      streams.set(sink, open(sink))
    }
    if (waiting.size) setTimeout(offerAll)
  }
  const observer = new MutationObserver(look)
  for (const name of ["input", "reset", "focusout", "close"]) document.addEventListener(name, ({ target }) => {
    if (name == "input") for (const field of [target, ...target.type == "radio" ? document.getElementsByName(target.name) : []])
      if (field.form == target.form) touched.add(field)
    if (name == "reset") [...target.elements].forEach(field => touched.delete(field))
    setTimeout(look)
  }, true)

  const ready = () => {
    const { htmx } = window
    if (!htmx || streams.isReady) return
    streams.isReady = true
    htmx.registerExtension?.("reactive", { init: api => { htmx4 = api } })
    if (!htmx.defineExtension || htmx4) return
    const isMorph = style => /^(inn|out)erMorph$/.test(style)
    htmx.defineExtension("reactive", {
      init: api => { htmx2 = api },
      isInlineSwap: isMorph,
      handleSwap(style, target, fragment) {
        if (!isMorph(style)) return false
        const isInner = style == "innerMorph", copy = parse(isInner ? target : target.parentElement, "")
        copy.append(inert.importNode(fragment, true))
        morph(target, isInner ? within(copy) : copy.firstElementChild, true)
        return []
      },
    })
    const { body } = document, names = body.getAttribute("hx-ext")
    body.setAttribute("hx-ext", names ? names + ",reactive" : "reactive")
    // The extension for Server-Sent Events opens no stream of a sink.
    const other = htmx.createEventSource ?? (url => new EventSource(url, { withCredentials: true }))
    htmx.createEventSource = url => sinks().some(sink => sink.getAttribute("sse-connect") == url) ?
      Object.assign(new EventTarget, { close() {} }) : other(url)
  }
  const start = () => {
    look()
    observer.observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-live-hold", "open", "sse-connect"] })
    ready()
    // Before htmx looks at the page.
    for (const name of ["DOMContentLoaded", "load"]) window.addEventListener(name, ready, true)
  }
  // As soon as the page is parsed, and before deferred scripts change it.
  if (document.readyState == "loading") document.addEventListener("readystatechange", start, { once: true })
  else start()
})()
