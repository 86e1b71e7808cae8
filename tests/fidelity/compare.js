// Compares what a page shows with what a new load of it shows.
(() => {
  // What the library and htmx write into elements.
  const OWN = /^(data-live|data-reactive|data-htmx-powered|hx-sse|sse-|data-turbo)/
  const SINK = "[data-reactive-sink],turbo-stream-source"
  const CLASSES = /^htmx-/
  const PROPERTIES = ["checked", "value", "indeterminate", "selectedIndex", "open", "disabled"]
  const isModal = element => element.localName == "dialog" && element.matches(":modal")
  const touched = new WeakSet

  const attributesOf = element => {
    const found = new Map
    for (const { name, value, namespaceURI } of element.attributes) {
      if (OWN.test(name)) continue
      const shown = name == "class" ? value.split(/\s+/).filter(each => !CLASSES.test(each)).join(" ") : value
      if (name != "class" || shown) found.set(`${namespaceURI ?? ""} ${name}`, shown)
    }
    return found
  }
  const childrenOf = node => [...(node.localName == "template" && node.content || node).childNodes].filter(child =>
    // Empty text separates nothing.
    child.nodeType != 3 || child.data)
  const nameOf = node => node.nodeType == 1 ? `${node.namespaceURI.replace(/.*\//, "")}:${node.localName}` : node.nodeName
  // Neighbours of text are one text.
  const texts = nodes => nodes.reduce((found, node) => {
    const last = found.at(-1)
    if (node.nodeType == 3 && last?.text != null) last.text += node.data
    else found.push(node.nodeType == 3 ? { text: node.data } : { node })
    return found
  }, [])

  const compare = (one, other, path, found, at) => {
    const differ = (what, left, right) => found.push({ block: at, path, what, shown: String(left), fresh: String(right) })
    if (nameOf(one) != nameOf(other)) return differ("node", nameOf(one), nameOf(other))
    if (one.nodeType != 1 && one.nodeType != 11) {
      if (one.data != other.data) differ("text", one.data, other.data)
      return
    }
    if (one.nodeType == 1 && !one.matches(SINK)) {
      const mine = attributesOf(one), fresh = attributesOf(other)
      for (const name of new Set([...mine.keys(), ...fresh.keys()]))
        if (mine.get(name) !== fresh.get(name) && !(name == " open" && touched.has(one)))
          differ("attribute" + name, mine.get(name), fresh.get(name))
      if (!touched.has(one)) {
        for (const name of PROPERTIES)
          if (name in one && one[name] !== other[name]) differ("property " + name, one[name], other[name])
        if (one.localName == "select") {
          const [left, right] = [one, other].map(each => [...each.selectedOptions].map(({ value }) => value).join())
          if (left != right) differ("property selectedOptions", left, right)
        }
        if (one.localName == "dialog" && isModal(one) != isModal(other)) differ("modal", isModal(one), isModal(other))
      }
      else if (one.localName == "dialog" && one.open != one.hasAttribute("open") || isModal(one) && !one.open)
        differ("modal and closed", true, false)
      if (!one.shadowRoot != !other.shadowRoot) differ("shadow root", !!one.shadowRoot, !!other.shadowRoot)
      else if (one.shadowRoot) compare(one.shadowRoot, other.shadowRoot, path + "/#shadow", found, at)
      if (touched.has(one) && one.localName == "textarea") return
    }
    const mine = texts(childrenOf(one)), fresh = texts(childrenOf(other))
    for (let i = 0; i < Math.max(mine.length, fresh.length); i++) {
      const left = mine[i], right = fresh[i]
      const shown = each => each ? each.text ?? each.node.outerHTML ?? each.node.nodeName : "nothing"
      if (left?.node && right?.node)
        compare(left.node, right.node, `${path}/${left.node.nodeName.toLowerCase()}[${i}]`, found,
          left.node.dataset?.region ?? at)
      else if (!left || !right || left.text !== right.text) {
        found.push({ block: at, path: `${path}/[${i}]`, what: "child", shown: shown(left), fresh: shown(right) })
        return
      }
    }
  }

  window.fidelity = {
    // Controls that the person has changed and not sent.
    touched,
    compare: (one, other) => {
      const found = []
      compare(one, other, "", found, "")
      return found
    },
  }
})()
