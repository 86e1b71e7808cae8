// Returns a page's faults: text below the contrast of WCAG AA, content wider than the window, fields without a name, ids
// that are there twice, targets too small to hit.
() => {
  const faults = []
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
  const pen = canvas.getContext("2d", { willReadFrequently: true })

  const known = new Map
  const rgba = color => known.get(color) ?? known.set(color, paint(color)).get(color)
  const paint = color => {
    pen.clearRect(0, 0, 1, 1)
    pen.fillStyle = color
    pen.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data
    return [r, g, b, a / 255]
  }
  const over = ([r, g, b, a], under) => [r, g, b].map((each, i) => each * a + under[i] * (1 - a))
  const background = element => {
    const layers = []
    for (let each = element; each; each = each.parentElement) {
      const color = rgba(getComputedStyle(each).backgroundColor)
      if (color[3] > 0) layers.push(color)
      if (color[3] === 1) break
    }
    return layers.reduceRight((under, layer) => over(layer, under), rgba("Canvas").slice(0, 3))
  }
  const luminance = color => {
    const [r, g, b] = color.map(each => each / 255).map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a)
    return (light + 0.05) / (dark + 0.05)
  }
  const check = (element, style, text) => {
    const size = parseFloat(style.fontSize)
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5
    const ground = background(element)
    const found = contrast(over(rgba(style.color), ground), ground)
    if (found < needed) faults.push(`contrast ${found.toFixed(2)} of “${text.trim().slice(0, 40)}”`)
  }

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode, element = text.parentElement
    if (!text.data.trim() || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue
    check(element, getComputedStyle(element), text.data)
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), textarea, select")) {
    if (!field.checkVisibility()) continue
    check(field, getComputedStyle(field), field.value || "a field")
    if (field.placeholder) check(field, getComputedStyle(field, "::placeholder"), field.placeholder)
    if (!field.labels?.length && !field.ariaLabel) faults.push(`no label: ${field.outerHTML.slice(0, 80)}`)
  }
  for (const hit of document.querySelectorAll("button, summary, nav a, .button")) {
    const { width, height } = hit.getBoundingClientRect()
    if (hit.checkVisibility() && (width < 24 || height < 24)) faults.push(`small target: ${hit.outerHTML.slice(0, 80)}`)
    if (hit.checkVisibility() && !hit.innerText.trim() && !hit.ariaLabel) faults.push(`no name: ${hit.outerHTML.slice(0, 80)}`)
  }
  const ids = [...document.querySelectorAll("[id]")].map(each => each.id)
  for (const id of new Set(ids.filter((each, i) => ids.indexOf(each) !== i))) faults.push(`the id ${id} is there twice`)
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`wider than the window: ${document.documentElement.scrollWidth}`)
  if (document.querySelectorAll("h1").length !== 1) faults.push("not exactly one h1")
  return faults
}
