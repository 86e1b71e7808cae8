// The inspector's page, apart from its updates: highlights in the graph, the filter, the pause, and the connection status.
"use strict";
(() => {
  const opened = new Set(); // ids of the events whose details are open, because events move between the lists
  let pinned = null; // key of the path or block that was clicked
  let pointed = null; // id of the event under the pointer or with focus
  let paused = false;
  let missed = false;

  const find = (selector) => document.querySelector(selector);
  const all = (selector) => document.querySelectorAll(selector);
  const overlap = (one, other) =>
    one === other || one === "*" || other === "*" || one.startsWith(`${other}.`) || other.startsWith(`${one}.`);
  const keyOf = (template, block) => JSON.stringify([template, block]);

  // What to highlight: a test for paths, and the status of the row of each block.
  function highlightOfEvent(row) {
    const paths = (row.dataset.paths || "").split(" ").filter(Boolean);
    const statuses = new Map(JSON.parse(row.dataset.blocks || "[]").map(([template, block, status]) => [keyOf(template, block), status]));
    const found = new Map();
    for (const node of all("[data-node-row]")) {
      const key = JSON.parse(node.dataset.nodeKeys).map(([template, block]) => keyOf(template, block)).find((each) => statuses.has(each));
      if (key) found.set(node.dataset.nodeRow, statuses.get(key));
    }
    return { path: (path) => paths.some((each) => overlap(each, path)), block: (number) => found.get(number) };
  }

  function highlightOfNode(node) {
    const { nodePath, nodeRow } = node.dataset;
    const curves = [...all(".curves path")];
    if (nodePath !== undefined) {
      const rows = new Set(curves.filter((each) => each.dataset.path === nodePath).map((each) => each.dataset.row));
      return { path: (path) => path === nodePath, block: (number) => (rows.has(number) ? "linked" : undefined) };
    }
    const paths = new Set(curves.filter((each) => each.dataset.row === nodeRow).map((each) => each.dataset.path));
    return { path: (path) => paths.has(path), block: (number) => (number === nodeRow ? "linked" : undefined) };
  }

  const nodeKey = (node) => (node.dataset.nodePath !== undefined ? `path ${node.dataset.nodePath}` : node.dataset.nodeKeys);

  function mark(element, status) {
    element.classList.toggle("lit", status !== undefined);
    if (status === undefined) element.removeAttribute("data-lit");
    else element.setAttribute("data-lit", status);
  }

  function highlight() {
    const node = pinned && [...all(".node")].find((each) => nodeKey(each) === pinned);
    const row = (pointed && document.getElementById(pointed)) || find(".event:not([hidden])");
    const lit = node ? highlightOfNode(node) : row ? highlightOfEvent(row) : { path: () => false, block: () => undefined };
    for (const each of all(".node")) {
      const { nodePath, nodeRow } = each.dataset;
      each.setAttribute("aria-pressed", String(nodeKey(each) === pinned));
      mark(each, nodePath !== undefined ? (lit.path(nodePath) ? "linked" : undefined) : lit.block(nodeRow));
    }
    for (const each of all(".curves path")) {
      mark(each, lit.path(each.dataset.path) ? lit.block(each.dataset.row) : undefined);
    }
    for (const each of all(".arcs path")) {
      mark(each, lit.path(each.dataset.path) && lit.path(each.dataset.derived) ? "linked" : undefined);
    }
    for (const each of all(".event")) each.classList.toggle("shown", !node && each === row);
  }

  // Scroll the graph, and nothing else, to the first highlighted block.
  function scrollToHighlight() {
    const box = find("#graph");
    const first = box.querySelector(".node.lit[data-node-row]");
    if (!first) return;
    const target = first.getBoundingClientRect();
    const visible = box.getBoundingClientRect();
    if (target.top < visible.top || target.bottom > visible.bottom) box.scrollTop += target.top - visible.top - visible.height / 3;
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
    highlight();
  }

  document.addEventListener("toggle", (event) => {
    const row = event.target.closest(".event");
    if (!row) return;
    const isNew = event.target.open && !opened.has(row.id);
    opened[event.target.open ? "add" : "delete"](row.id);
    if (isNew) scrollToHighlight();
  }, true);

  function point(event) {
    const row = event.target.closest?.(".event");
    const id = row ? row.id : null;
    if (id !== pointed) {
      pointed = id;
      highlight();
    }
  }
  document.addEventListener("pointerover", point);
  document.addEventListener("focusin", point);

  document.addEventListener("click", (event) => {
    const node = event.target.closest(".node");
    if (!node) return;
    pinned = nodeKey(node) === pinned ? null : nodeKey(node);
    highlight();
    if (pinned && node.dataset.nodePath !== undefined) scrollToHighlight();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && pinned) {
      pinned = null;
      highlight();
    }
  });

  find("#filter").addEventListener("input", () => { filter(); highlight(); });
  find("#pause").addEventListener("click", (event) => {
    paused = !paused;
    event.currentTarget.setAttribute("aria-pressed", String(paused));
    event.currentTarget.textContent = paused ? "Resume" : "Pause";
    if (!paused && missed) location.reload();
    showStatus(paused ? "paused" : "live");
  });

  const statusTexts = { live: "Live", paused: "Paused", lost: "Connection lost. Reconnecting…", waiting: "Connecting…" };
  function showStatus(state) {
    const link = find("#link");
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.textContent = statusTexts[state];
  }

  document.addEventListener("htmx:sse:after:connection", () => showStatus(paused ? "paused" : "live"));
  document.addEventListener("htmx:sse:close", () => showStatus("lost"));
  document.addEventListener("htmx:sse:error", (event) => {
    showStatus("lost");
    // The process that rendered this page is gone, and its successor does not know the page's stream.
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
