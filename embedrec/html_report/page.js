"use strict";
(function () {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const byId = (id) => document.getElementById(id);

  function make(tag, text, parent, cls) {
    const node = document.createElement(tag);
    if (text !== null) node.textContent = text; // never as HTML: texts come from data
    if (cls) node.className = cls;
    if (parent) parent.appendChild(node);
    return node;
  }

  // ------------------------------------------------------------------ the map
  function map(about) {
    const canvas = byId("canvas"), tip = byId("tip"), box = byId("map"), search = byId("search");
    const pen = canvas.getContext("2d");
    const items = about.items; // [id, name, mentions, x, y, group]
    const most = Math.max(...items.map((i) => i[2]), 1);
    let found = new Set(), hovered = -1, wide = 0, tall = 0, zoom = 1, mid = [0, 0], hidden = new Set();

    const colour = (g) => getComputedStyle(document.documentElement).getPropertyValue("--c" + paint(g)).trim();
    const paint = (g) => (about.by !== "popularity" && g === about.groups.length - 1 ? 7 : g);
    const radius = (i) => (2 + 5 * Math.sqrt(items[i][2] / most)) * Math.max(0.5, Math.min(1, wide / 800));
    const place = (i) => [
      wide / 2 + ((items[i][3] - mid[0]) * zoom * (wide - 40)) / 2,
      tall / 2 - ((items[i][4] - mid[1]) * zoom * (tall - 40)) / 2,
    ];

    function draw() {
      wide = box.clientWidth; tall = Math.max(280, Math.min(560, wide * 0.62));
      const dense = window.devicePixelRatio || 1;
      canvas.width = wide * dense; canvas.height = tall * dense; canvas.style.height = tall + "px";
      pen.setTransform(dense, 0, 0, dense, 0, 0);
      pen.clearRect(0, 0, wide, tall);
      const colours = about.groups.map((_, g) => colour(g));
      const ink = getComputedStyle(document.body).color, card = getComputedStyle(box.parentNode).backgroundColor;
      for (let i = items.length - 1; i >= 0; i--) {
        if (hidden.has(items[i][5])) continue;
        const [x, y] = place(i);
        pen.globalAlpha = found.size && !found.has(i) ? 0.1 : 0.75;
        pen.fillStyle = colours[items[i][5]];
        pen.beginPath(); pen.arc(x, y, radius(i), 0, 7); pen.fill();
      }
      pen.globalAlpha = 1; pen.fillStyle = ink; pen.strokeStyle = card; pen.lineWidth = 3; pen.lineJoin = "round";
      pen.font = "12px system-ui, sans-serif";
      const shown = (i) => { // within the visible area
        const [x, y] = place(i);
        return !hidden.has(items[i][5]) && (!found.size || found.has(i)) && x >= 0 && x <= wide && y >= 8 && y <= tall - 8;
      };
      const taken = [];
      for (const i of [...items.keys()].filter(shown).slice(0, wide > 600 ? 30 : 12)) {
        const [x, y] = place(i), name = items[i][1], text = name.length > 28 ? name.slice(0, 27) + "…" : name;
        const long = pen.measureText(text).width + 6, right = x + radius(i) + 3;
        const left = right + long < wide ? right : Math.max(0, x - radius(i) - long + 3); // next to its dot, inside the canvas
        if (taken.some(([u, v, w]) => left < u + w && u < left + long && Math.abs(y - v) < 13)) continue;
        taken.push([left, y, long]);
        pen.strokeText(text, left, y + 4); pen.fillText(text, left, y + 4); // readable over dots
      }
      if (hovered >= 0) { const [x, y] = place(hovered); pen.strokeStyle = ink; pen.lineWidth = 2; pen.beginPath(); pen.arc(x, y, radius(hovered) + 3, 0, 7); pen.stroke(); }
    }

    function at(event) {
      const bounds = canvas.getBoundingClientRect(), x = event.clientX - bounds.left, y = event.clientY - bounds.top;
      let best = -1, least = 15 * 15;
      for (let i = 0; i < items.length; i++) {
        if (hidden.has(items[i][5])) continue;
        const [u, v] = place(i), d = (u - x) ** 2 + (v - y) ** 2;
        if (d < least) { least = d; best = i; }
      }
      return [best, x, y];
    }

    function point(event) {
      const [i, x, y] = at(event);
      if (i !== hovered) { hovered = i; draw(); }
      tip.style.display = i < 0 ? "none" : "block";
      if (i < 0) return;
      const [id, name, mentions, , , g] = items[i];
      tip.textContent = name + (id !== name ? " (" + id + ")" : "") + " · " + mentions.toLocaleString() + " events · " + about.groups[g];
      tip.style.left = Math.max(0, Math.min(x + 14, wide - tip.offsetWidth)) + "px";
      tip.style.top = y + 16 + "px";
    }
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point); // touch screens send no pointermove before
    canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "touch") return; hovered = -1; tip.style.display = "none"; draw(); });
    canvas.addEventListener("click", (event) => { // zoom in around the click; the fourth click resets
      const [, x, y] = at(event);
      if (zoom >= 8) { zoom = 1; mid = [0, 0]; } else {
        mid = [mid[0] + ((x - wide / 2) * 2) / (wide - 40) / zoom, mid[1] - ((y - tall / 2) * 2) / (tall - 40) / zoom];
        zoom *= 2;
      }
      draw();
    });
    byId("whole").addEventListener("click", () => { zoom = 1; mid = [0, 0]; search.value = ""; look(); });
    function look() {
      const words = search.value.trim().toLowerCase();
      found = new Set();
      if (words) items.forEach((item, i) => { if ((item[0] + " " + item[1]).toLowerCase().includes(words)) found.add(i); });
      byId("matches").textContent = words ? found.size.toLocaleString() + " found" : "";
      draw();
    }
    search.addEventListener("input", look);
    about.groups.forEach((name, g) => {
      const entry = make("label", null, byId("legend"));
      const box = make("input", null, entry); box.type = "checkbox"; box.checked = true;
      const dot = make("i", null, entry); dot.style.background = "var(--c" + paint(g) + ")"; dot.style.marginLeft = "6px";
      make("span", name, entry);
      box.addEventListener("change", () => { if (box.checked) hidden.delete(g); else hidden.add(g); draw(); });
    });
    new ResizeObserver(draw).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
  }

  // ------------------------------------------------------------------ neighbours side by side
  function near(about) {
    const chosen = byId("item"), lists = byId("lists");
    about.items.forEach((item, i) => { make("option", item.name + " · " + item.mentions.toLocaleString() + " events", chosen).value = i; });
    function show() {
      lists.replaceChildren();
      const item = about.items[chosen.value];
      const seen = new Map();
      item.lists.forEach((list) => (list || []).forEach(([name]) => seen.set(name, (seen.get(name) || 0) + 1)));
      item.lists.forEach((list, m) => {
        const card = make("div", null, lists);
        make("h3", about.models[m], card);
        if (!list) { make("p", "not in the vocabulary", card); return; }
        const ol = make("ol", null, card);
        for (const [name, score] of list) {
          const li = make("li", name, ol, about.models.length > 1 && seen.get(name) === about.models.length ? "all" : "");
          make("small", score.toFixed(3), li);
        }
      });
    }
    chosen.addEventListener("change", show);
    const step = (by) => { chosen.selectedIndex = (chosen.selectedIndex + by + about.items.length) % about.items.length; show(); };
    byId("before").addEventListener("click", () => step(-1));
    byId("next").addEventListener("click", () => step(1));
    show();
  }

  if (data.map) map(data.map);
  if (data.near && data.near.items.length) near(data.near);
})();
