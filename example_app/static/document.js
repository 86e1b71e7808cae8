// The browser owns the editor. Without unsaved changes it loads what others save; otherwise it shows a notice.

const form = document.getElementById("edit")
const editor = document.getElementById("editor")
const text = () => document.getElementById("text")
const base = () => Number(form.elements.base.value)

let known = text() // the current text field
let kept = known.value // the text that the server has
let sent = kept

form.addEventListener("submit", () => sent = text().value)
form.addEventListener("keydown", event => {
  if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    form.requestSubmit()
  }
})
addEventListener("beforeunload", event => {
  if (text().value !== kept) event.preventDefault()
})

new MutationObserver(() => {
  if (text() !== known) {
    known = text()
    kept = known.value
  } else if (!editor.querySelector(".conflict, .error")) {
    kept = sent
  }
}).observe(editor, { childList: true, subtree: true })

new MutationObserver(() => {
  const version = Number(document.querySelector("[data-version]").dataset.version)
  if (version <= base() || editor.querySelector(".conflict")) return
  if (text().value === kept) htmx.ajax("GET", form.dataset.fresh, { target: "#editor", swap: "innerHTML" })
  else document.getElementById("state").textContent = `Version ${version} was saved while you were writing. Save yours to compare.`
}).observe(document.getElementById("version"), { childList: true, subtree: true, characterData: true, attributes: true })
