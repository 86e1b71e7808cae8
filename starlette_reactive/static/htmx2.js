// Streams of htmx 2 that go on where they were. Load it after htmx.
htmx.createEventSource = url => {
  let source, timer, last, pause = 500, ended
  const outer = new EventTarget, types = new Set(["reactive-id"])
  const relay = e => {
    last = e.lastEventId || last
    outer.dispatchEvent(new MessageEvent(e.type, e))
  }
  const stop = () => {
    clearTimeout(timer)
    source?.close()
    source = null
  }
  const start = () => {
    stop()
    if (ended || document.hidden) return
    const from = "resumable=1" + (last ? "&resume=" + encodeURIComponent(last) : "")
    source = new EventSource(url + (url.includes("?") ? "&" : "?") + from, { withCredentials: true })
    source.onopen = e => {
      pause = 500
      outer.onopen?.(e)
    }
    source.onerror = e => {
      // A dropped connection comes back by itself, but not after an error status.
      if (source?.readyState == 2) {
        stop()
        timer = setTimeout(start, pause * (0.5 + Math.random()))
        pause = Math.min(2 * pause, 32000)
      }
      outer.onerror?.(e)
    }
    types.forEach(type => source.addEventListener(type, relay))
  }
  outer.addEventListener = (type, ...rest) => {
    if (!types.has(type)) source?.addEventListener(type, relay)
    types.add(type)
    EventTarget.prototype.addEventListener.call(outer, type, ...rest)
  }
  outer.close = () => {
    ended = 1
    document.removeEventListener("visibilitychange", start)
    stop()
  }
  document.addEventListener("visibilitychange", start)
  start()
  return outer
}
