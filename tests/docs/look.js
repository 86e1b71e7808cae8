// Looks at a page as it is shown: does it fit its window, and can all of its text be read? Returns what is wrong.
() => {
  const parse = text => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number)
    return text.startsWith("color(srgb") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a]
  }
  const over = ([r, g, b, a], below) => [r, g, b].map((part, at) => part * a + below[at] * (1 - a))
  const light = colour => {
    const [r, g, b] = colour.map(part => {
      part /= 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const contrast = (one, other) => {
    const [bright, dark] = [light(one), light(other)].sort((x, y) => y - x)
    return (bright + 0.05) / (dark + 0.05)
  }
  const canvas = () => {
    const root = parse(getComputedStyle(document.documentElement).backgroundColor)
    return over(root, [255, 255, 255])
  }
  const layers = element => {
    const found = []
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor)
      if (colour[3]) found.push(colour)
      if (colour[3] === 1) break
    }
    return found
  }
  const background = element => layers(element).reduceRight((below, colour) => over(colour, below), canvas())
  // What a picture's text stands on is the last shape before it that it lies in.
  const shape = (text, box) => {
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
    return [...text.ownerSVGElement.querySelectorAll("rect")].filter(each => {
      const area = each.getBoundingClientRect()
      const before = each.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING
      return before && area.left <= x && x <= area.right && area.top <= y && y <= area.bottom
    }).at(-1)
  }
  const opacity = element => element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1
  const faults = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    const words = walker.currentNode.data.trim()
    const style = getComputedStyle(element)
    if (!words || element.closest("script, style, noscript, title, desc, template, option")) continue
    if (style.visibility !== "visible" || !element.checkVisibility({ opacityProperty: true })) continue
    const range = document.createRange()
    range.selectNodeContents(walker.currentNode)
    const box = range.getBoundingClientRect()
    if (!box.width || !box.height) continue
    const picture = element.closest("svg")
    const on = picture && shape(element.closest("text"), box)
    const below = on ? over(parse(getComputedStyle(on).fill), [255, 255, 255]) : background(element)
    const [r, g, b, a] = parse(picture ? style.fill : style.color)
    const ratio = contrast(over([r, g, b, a * opacity(element)], below), below)
    const size = parseFloat(style.fontSize)
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (ratio < (large ? 3 : 4.5)) {
      const place = element.closest("[class]")
      faults.push(`contrast ${ratio.toFixed(2)} in <${element.localName}>, class ${place?.getAttribute("class")}: ${words.slice(0, 40)}`)
    }
  }
  for (const code of document.querySelectorAll("pre > code")) {
    if (code.scrollWidth > code.clientWidth) faults.push(`code is clipped: ${code.textContent.trim().slice(0, 40)}`)
  }
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (table.scrollWidth > table.clientWidth) faults.push(`a table is clipped: ${table.textContent.trim().slice(0, 40)}`)
  }
  const excess = document.documentElement.scrollWidth - document.documentElement.clientWidth
  if (excess > 0) faults.push(`${excess} px wider than the window`)
  return [...new Set(faults)]
}
