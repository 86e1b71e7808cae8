// Only the dialog and short messages need a script. Everything else on these pages is HTML from the server.

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

// For live pages the style sheet shows the state. For other streams, htmx 2 and htmx 4 name these events differently.
for (const lost of ["htmx:sseError", "htmx:sse:error"])
  addEventListener(lost, () => document.documentElement.classList.add("is-offline"))
for (const back of ["htmx:sseOpen", "htmx:sse:after:connection"])
  addEventListener(back, () => document.documentElement.classList.remove("is-offline"))
