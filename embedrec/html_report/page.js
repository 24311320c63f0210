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
    let found = new Set(), hovered = -1, chosen = -1, wide = 0, tall = 0, zoom = 1, mid = [0, 0], hidden = new Set();

    const colour = (g) => getComputedStyle(document.documentElement).getPropertyValue(paint(g)).trim();
    const paint = (g) => (about.ordered ? "--s" + g : "--c" + (g === about.groups.length - 1 ? 7 : g));
    const near = (i) => about.near[i].map(([number]) => number).filter((number) => number < items.length);
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
      const lit = found.size ? found : chosen < 0 ? null : new Set([chosen, ...near(chosen)]); // the others fade
      const colours = about.groups.map((_, g) => colour(g));
      const ink = getComputedStyle(document.body).color, card = getComputedStyle(box.parentNode).backgroundColor;
      for (let i = items.length - 1; i >= 0; i--) {
        if (hidden.has(items[i][5])) continue;
        const [x, y] = place(i);
        pen.globalAlpha = lit && !lit.has(i) ? 0.12 : 0.8;
        pen.fillStyle = colours[items[i][5]];
        pen.beginPath(); pen.arc(x, y, radius(i), 0, 7); pen.fill();
      }
      pen.globalAlpha = 1; pen.fillStyle = ink; pen.strokeStyle = card; pen.lineWidth = 3; pen.lineJoin = "round";
      pen.font = "12px system-ui, sans-serif";
      const shown = (i) => { // within the visible area
        const [x, y] = place(i);
        return !hidden.has(items[i][5]) && (!lit || lit.has(i)) && x >= 0 && x <= wide && y >= 8 && y <= tall - 8;
      };
      const taken = [];
      const first = chosen < 0 ? [] : [chosen, ...near(chosen)];
      for (const i of [...new Set([...first, ...items.keys()])].filter(shown).slice(0, wide > 600 ? 40 : 16)) label(i, taken);
      if (hovered >= 0) { const [x, y] = place(hovered); pen.strokeStyle = ink; pen.lineWidth = 2; pen.beginPath(); pen.arc(x, y, radius(hovered) + 3, 0, 7); pen.stroke(); }
    }

    // Write a name next to its dot: on the first side where it overlaps no other label and is inside the canvas.
    function label(i, taken) {
      const lines = wrapped(items[i][1], wide > 600 ? 30 : 20), high = 14 * lines.length, r = radius(i) + 3;
      const long = Math.max(...lines.map((text) => pen.measureText(text).width));
      const [x, y] = place(i);
      const sides = [[x + r, y - high / 2], [x - r - long, y - high / 2], [x - long / 2, y - r - high], [x - long / 2, y + r]];
      const free = sides.find(([u, v]) => u >= 0 && u + long <= wide && v >= 0 && v + high <= tall &&
        !taken.some(([a, b, w, h]) => u < a + w + 6 && a < u + long + 6 && v < b + h + 2 && b < v + high + 2));
      if (!free) return;
      taken.push([free[0], free[1], long, high]);
      lines.forEach((text, n) => { pen.strokeText(text, free[0], free[1] + 11 + 14 * n); pen.fillText(text, free[0], free[1] + 11 + 14 * n); });
    }
    function wrapped(name, most) { // at spaces, and within words that are longer than a line
      const lines = [""];
      for (const word of name.match(new RegExp("\\S{1," + most + "}", "gu")) || [name]) {
        const last = lines.length - 1;
        if (lines[last] && lines[last].length + 1 + word.length > most) lines.push(word); else lines[last] += (lines[last] ? " " : "") + word;
      }
      return lines;
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
    canvas.addEventListener("click", (event) => choose(at(event)[0]));
    function choose(i) { // show the neighbours of an item; −1 for none
      chosen = i; found = new Set(); search.value = ""; byId("matches").textContent = "";
      const panel = byId("chosen");
      panel.replaceChildren();
      if (i >= 0) {
        const [id, name, mentions, , , g] = items[i];
        const head = make("p", null, panel);
        make("b", name, head); make("small", (id !== name ? id + " · " : "") + mentions.toLocaleString() + " events · " + about.groups[g], head);
        make("p", "nearest items of " + about.model, panel);
        const list = make("ol", null, panel);
        for (const [number, score] of about.near[i]) {
          const entry = make("li", number < items.length ? null : about.names[number - items.length], list);
          if (number < items.length) make("button", items[number][1], entry).addEventListener("click", () => choose(number));
          make("small", score.toFixed(3), entry);
        }
      }
      draw();
    }
    function scale(factor) { // around the chosen item, if there is one
      if (chosen >= 0 && factor > 1) mid = [items[chosen][3], items[chosen][4]];
      zoom = Math.max(1, Math.min(32, zoom * factor));
      if (zoom === 1) mid = [0, 0];
      draw();
    }
    byId("in").addEventListener("click", () => scale(2));
    byId("out").addEventListener("click", () => scale(0.5));
    canvas.addEventListener("dblclick", (event) => { // zoom in around the pointer
      const [, x, y] = at(event);
      mid = [mid[0] + ((x - wide / 2) * 2) / (wide - 40) / zoom, mid[1] - ((y - tall / 2) * 2) / (tall - 40) / zoom];
      zoom = Math.min(32, zoom * 2); draw();
    });
    byId("whole").addEventListener("click", () => { zoom = 1; mid = [0, 0]; search.value = ""; choose(-1); });
    function look() {
      const words = search.value.trim().toLowerCase();
      found = new Set();
      if (words) items.forEach((item, i) => { if ((item[0] + " " + item[1]).toLowerCase().includes(words)) found.add(i); });
      byId("matches").textContent = words ? found.size.toLocaleString() + " found" : "";
      draw();
    }
    search.addEventListener("input", look);
    about.groups.forEach((name, g) => {
      if (!items.some((item) => item[5] === g)) return; // no such item on the map
      const entry = make("label", null, byId("legend"));
      const box = make("input", null, entry); box.type = "checkbox"; box.checked = true;
      const dot = make("i", null, entry); dot.style.background = "var(" + paint(g) + ")"; dot.style.marginLeft = "6px";
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
