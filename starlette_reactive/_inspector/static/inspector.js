// What the inspector's page does beside its updates: light up the picture, filter, pause, and say whether it is connected.
"use strict";
(() => {
  const opened = new Set(); // the events whose details are open, for they move from list to list
  let pinned = null; // the path or block that was clicked, as a key
  let pointed = null; // the event under the pointer or the focus
  let paused = false;
  let missed = false;

  const find = (selector) => document.querySelector(selector);
  const all = (selector) => document.querySelectorAll(selector);
  const overlap = (one, other) =>
    one === other || one === "*" || other === "*" || one.startsWith(`${other}.`) || other.startsWith(`${one}.`);
  const keyOf = (template, block) => JSON.stringify([template, block]);

  // What is lit: a test for paths, and the fate of each block.
  function litByEvent(row) {
    const paths = (row.dataset.paths || "").split(" ").filter(Boolean);
    const fates = new Map(JSON.parse(row.dataset.blocks || "[]").map(([template, block, fate]) => [keyOf(template, block), fate]));
    return { path: (path) => paths.some((each) => overlap(each, path)), fate: (key) => fates.get(key) };
  }

  function litByNode(node) {
    const { nodePath, nodeTemplate, nodeBlock } = node.dataset;
    const curves = [...all(".curves path")];
    if (nodePath !== undefined) {
      const keys = new Set(curves.filter((each) => each.dataset.path === nodePath).map((each) => keyOf(each.dataset.template, each.dataset.block)));
      return { path: (path) => path === nodePath, fate: (key) => (keys.has(key) ? "linked" : undefined) };
    }
    const own = keyOf(nodeTemplate, nodeBlock);
    const paths = new Set(curves.filter((each) => keyOf(each.dataset.template, each.dataset.block) === own).map((each) => each.dataset.path));
    return { path: (path) => paths.has(path), fate: (key) => (key === own ? "linked" : undefined) };
  }

  const nodeKey = (node) => (node.dataset.nodePath !== undefined ? `path ${node.dataset.nodePath}` : keyOf(node.dataset.nodeTemplate, node.dataset.nodeBlock));

  function mark(element, fate) {
    element.classList.toggle("lit", fate !== undefined);
    if (fate === undefined) element.removeAttribute("data-lit");
    else element.setAttribute("data-lit", fate);
  }

  function light() {
    const node = pinned && [...all(".node")].find((each) => nodeKey(each) === pinned);
    const row = (pointed && document.getElementById(pointed)) || find(".event:not([hidden])");
    const lit = node ? litByNode(node) : row ? litByEvent(row) : { path: () => false, fate: () => undefined };
    for (const each of all(".node")) {
      const { nodePath, nodeTemplate, nodeBlock } = each.dataset;
      each.setAttribute("aria-pressed", String(nodeKey(each) === pinned));
      mark(each, nodePath !== undefined ? (lit.path(nodePath) ? "linked" : undefined) : lit.fate(keyOf(nodeTemplate, nodeBlock)));
    }
    for (const each of all(".curves path")) {
      mark(each, lit.path(each.dataset.path) ? lit.fate(keyOf(each.dataset.template, each.dataset.block)) : undefined);
    }
    for (const each of all(".arcs path")) {
      mark(each, lit.path(each.dataset.path) && lit.path(each.dataset.derived) ? "linked" : undefined);
    }
    for (const each of all(".event")) each.classList.toggle("shown", !node && each === row);
  }

  // Scroll the picture, and nothing else, to the first block that is lit.
  function showLit() {
    const box = find("#picture");
    const first = box.querySelector(".node.lit[data-node-block]");
    if (!first) return;
    const place = first.getBoundingClientRect();
    const room = box.getBoundingClientRect();
    if (place.top < room.top || place.bottom > room.bottom) box.scrollTop += place.top - room.top - room.height / 3;
  }

  function filter() {
    const wanted = find("#filter").value.trim().toLowerCase();
    let shown = 0;
    for (const row of all(".event")) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    find("#no-match").hidden = wanted === "" || shown > 0;
  }

  function refresh() {
    for (const row of all(".event")) {
      const details = row.querySelector("details");
      if (opened.has(row.id) && !details.open) details.open = true;
    }
    filter();
    light();
  }

  document.addEventListener("toggle", (event) => {
    const row = event.target.closest(".event");
    if (!row) return;
    const isNew = event.target.open && !opened.has(row.id);
    opened[event.target.open ? "add" : "delete"](row.id);
    if (isNew) showLit();
  }, true);

  function point(event) {
    const row = event.target.closest?.(".event");
    const id = row ? row.id : null;
    if (id !== pointed) {
      pointed = id;
      light();
    }
  }
  document.addEventListener("pointerover", point);
  document.addEventListener("focusin", point);

  document.addEventListener("click", (event) => {
    const node = event.target.closest(".node");
    if (!node) return;
    pinned = nodeKey(node) === pinned ? null : nodeKey(node);
    light();
    if (pinned && node.dataset.nodePath !== undefined) showLit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && pinned) {
      pinned = null;
      light();
    }
  });

  find("#filter").addEventListener("input", () => { filter(); light(); });
  find("#pause").addEventListener("click", (event) => {
    paused = !paused;
    event.currentTarget.setAttribute("aria-pressed", String(paused));
    event.currentTarget.textContent = paused ? "Resume" : "Pause";
    if (!paused && missed) location.reload();
    say(paused ? "paused" : "live");
  });

  const words = { live: "Live", paused: "Paused", lost: "Connection lost. Trying again…", waiting: "Connecting…" };
  function say(state) {
    const link = find("#link");
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.textContent = words[state];
  }

  document.addEventListener("htmx:sse:after:connection", () => say(paused ? "paused" : "live"));
  document.addEventListener("htmx:sse:close", () => say("lost"));
  document.addEventListener("htmx:sse:error", (event) => {
    say("lost");
    // The process that made this page is gone, and its successor does not know the page's stream.
    const last = Number(sessionStorage.getItem("reloaded") || 0);
    if (event.detail?.status === 403 && Date.now() - last > 5000) {
      sessionStorage.setItem("reloaded", String(Date.now()));
      location.reload();
    }
  });
  document.addEventListener("htmx:sse:before:message", (event) => {
    if (!paused) return;
    missed = true;
    event.detail.cancelled = true;
    event.preventDefault();
  });

  let due = false;
  new MutationObserver(() => {
    if (due) return;
    due = true;
    queueMicrotask(() => { due = false; refresh(); });
  }).observe(find("main"), { childList: true, subtree: true });
  refresh();
})();
