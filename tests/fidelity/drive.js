// Changes what a page shows, as others and as the person in front of it, and looks whether it is what a reload shows.
(() => {
  // The page in a frame is a new load. Its own stream is of no use.
  if (window.top != window) {
    window.EventSource = class extends EventTarget { close() {} }
    const { fetch } = window
    window.fetch = (url, ...rest) => String(url.url ?? url).includes("/live") ? new Promise(() => {}) : fetch(url, ...rest)
    return
  }
  const { touched, compare } = window.fidelity
  const frame = document.createElement("iframe")
  frame.hidden = true
  const load = () => new Promise(resolve => {
    frame.onload = () => resolve(frame.contentDocument)
    if (frame.isConnected) frame.contentWindow.location.replace(location.href)
    else {
      frame.src = location.href
      document.documentElement.append(frame)
    }
  })
  const pause = delay => new Promise(resolve => setTimeout(resolve, delay))
  const until = async (condition, limit) => {
    const end = performance.now() + limit
    while (!condition()) {
      if (performance.now() > end) return false
      await pause(5)
    }
    return true
  }
  const isSettled = () => !document.querySelector(".htmx-settling,.htmx-swapping,.htmx-added")
  const isHeld = () => !!document.querySelector("[data-live-waiting]")

  const look = async () => {
    const fresh = await load()
    const compareAll = () => ["head", "body"].flatMap(part => compare(document[part], fresh[part]))
    let found = []
    // Whatever is left to do in the page is done soon.
    await until(() => isSettled() && !(found = compareAll()).length, 400)
    return found.length ? compareAll() : found
  }

  const change = async (name, values, version) => {
    await fetch(`/change/${name}`, { method: "POST", body: JSON.stringify(values) })
    const shown = () => document.getElementById("version").textContent == version
    if (!await until(shown, 30_000)) return false
    await until(isSettled, 1000)
    return true
  }

  const input = element => element.dispatchEvent(new Event("input", { bubbles: true }))
  const radios = element => [element, ...document.getElementsByName(element.name)].filter(each => each.form == element.form)
  const ACTIONS = {
    type(element) {
      if (element.type == "checkbox" || element.type == "radio") return ACTIONS.check(element)
      if (!("value" in element) || element.localName == "select" || /^(hidden|file|submit|reset|button)$/.test(element.type)) return
      touched.add(element)
      element.focus()
      element.value = "typed"
      input(element)
    },
    check(element) {
      for (const each of element.type == "radio" ? radios(element) : [element]) touched.add(each)
      element.click()
    },
    choose(element) {
      if (!element.options.length) return
      touched.add(element)
      element.selectedIndex = element.options.length - 1
      input(element)
    },
    open(element) {
      touched.add(element)
      element.open = !element.open
    },
    modal(element) {
      if (element.open) return
      touched.add(element)
      element.showModal()
    },
    close(element) {
      touched.add(element)
      element.close()
    },
    focus: element => element.focus(),
    reset(element) {
      element.reset()
      for (const each of element.elements) touched.delete(each)
    },
  }
  const SELECTORS = {
    type: "main input, main textarea", check: "main [type=checkbox], main [type=radio]", choose: "main select",
    open: "main details", modal: "main dialog", close: "main dialog[open]", focus: "main input, main textarea, main button",
    reset: "main form",
  }
  const act = ([name, part]) => {
    const found = document.querySelectorAll(SELECTORS[name])
    if (found.length) ACTIONS[name](found[Math.floor(part * found.length)])
  }

  window.change = change
  window.look = look
  window.drive = async (name, steps) => {
    const found = []
    let number = 0, held = 0
    for (const { actions = [], values } of steps) {
      actions.forEach(act)
      number++
      if (!await change(name, values, number)) {
        found.push({ step: number, block: "", path: "", what: "no update", shown: "", fresh: "" })
        break
      }
      if (isHeld()) held++
      else for (const each of await look()) found.push({ step: number, ...each })
      if (found.length) break
    }
    if (!found.length && held) {
      document.activeElement.blur()
      document.querySelectorAll("dialog[open]").forEach(ACTIONS.close)
      await until(() => !isHeld(), 2000)
      for (const each of await look()) found.push({ step: "end", ...each })
    }
    return { found, held }
  }
})()
