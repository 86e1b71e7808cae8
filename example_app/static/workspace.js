// Only the dialog, short messages and the glow need a script. Everything else on these pages is HTML from the server.

const dialog = document.getElementById("dialog")
const notice = document.getElementById("notice")
let opener

// The dialog is open while it has content.
new MutationObserver(() => {
  if (!dialog.firstElementChild || dialog.open) return
  opener = document.activeElement?.id
  dialog.showModal()
}).observe(dialog, { childList: true })

dialog.addEventListener("close", () => {
  dialog.replaceChildren()
  document.getElementById(opener)?.focus()
})
addEventListener("dialog-done", () => dialog.close())
addEventListener("click", event => {
  if (event.target === dialog || event.target.closest("dialog [data-close]")) {
    event.preventDefault()
    dialog.close()
  }
})

addEventListener("notice", event => {
  notice.textContent = event.detail.message
  setTimeout(() => notice.textContent = "", 6000)
})

// What an update adds or changes glows for a moment. The server does not know what this browser has shown before.
const still = matchMedia("(prefers-reduced-motion: reduce)")
const key = item => `${item.id} ${item.dataset.changed}`
const items = () => Array.from(document.querySelectorAll("main [data-changed]"))
const shown = new Set(items().map(key))
new MutationObserver(() => {
  for (const item of items().filter(item => !shown.has(key(item)))) {
    shown.add(key(item))
    if (!still.matches) item.animate({ backgroundColor: ["var(--glow)", ""] }, { duration: 2000, easing: "ease-out" })
  }
}).observe(document.querySelector("main"), { subtree: true, childList: true, attributeFilter: ["data-changed"] })

// For live pages the style sheet shows the state. For other streams, htmx 2 and htmx 4 name these events differently.
for (const lost of ["htmx:sseError", "htmx:sse:error"])
  addEventListener(lost, () => document.documentElement.classList.add("is-offline"))
for (const back of ["htmx:sseOpen", "htmx:sse:after:connection"])
  addEventListener(back, () => document.documentElement.classList.remove("is-offline"))
