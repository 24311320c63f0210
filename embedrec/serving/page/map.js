// The view of the map: all items in a plane, coloured by popularity, cluster or a feature.

import { details, named, post } from "./api.js";
import { announce, debounce, featureText, make, nameOf, notice, number, plainName, problem } from "./dom.js";
import { addToSession, fillFeatures, itemLink, itemRow } from "./lists.js";
import { inside, loadColours, loadMap, nearest } from "./map_data.js";
import { startGestures } from "./map_gestures.js";
import { drawOverlay } from "./map_overlay.js";
import { pointRenderer } from "./map_points.js";
import { go, state } from "./state.js";

const NEIGHBOURS = 10;
const LISTED = 30; // items of a lasso that are listed
const MARGIN = 0.94; // of the square from -1 to 1
const STRETCH = 1.5; // of the square at most, to fill the frame: the directions of the plane have no meaning
const [LEAST_ZOOM, MOST_ZOOM] = [0.7, 4000];
const REACH = 14; // pixels between the pointer and the point it means
const NONE = 255;

export function mapView(box, served) {
  const sources = served.filter((source) => source.options.includes("map"));
  if (!sources.length) {
    box.append(make("h1", {}, "Map"), notice("Nothing that has item vectors is served: run `embedrec train word2vec` and `embedrec build-index`."));
    return { render() {} };
  }
  const points = make("canvas", { class: "points", "aria-hidden": "true" });
  const overlay = make("canvas", { class: "overlay", tabindex: "0", role: "application", "aria-label": "Map" });
  const tip = make("div", { class: "tip", hidden: true });
  const frame = make("div", { class: "map" }, points, overlay, tip);
  const panel = make("aside", { class: "card found", "aria-label": "Chosen items" });
  const legend = make("div", { class: "legend", role: "group", "aria-label": "Groups" });
  const message = make("div", { class: "message" });
  const sourceChoice = make("select", { id: "map-source", onchange: () => go({ source: sourceChoice.value }) },
    sources.map((source) => make("option", { value: `${source.kind} ${source.name}` }, `${source.kind} ${source.name}`)));
  const colourChoice = make("select", { id: "map-colour", onchange: () => go({ colour: colourChoice.value }, { replace: true }) });
  const button = (text, label, onclick) => make("button", { type: "button", "aria-label": label, title: label, onclick }, text);
  const lassoButton = make("button", { type: "button", "aria-pressed": "false", title: "Draw around items; or hold Shift", onclick: () => setLasso(!drawing) }, "Lasso");
  box.append(make("h1", {}, "Map"), message,
    make("div", { class: "toolbar" },
      sources.length > 1 && make("label", {}, "Items of ", sourceChoice), make("label", {}, "Colour ", colourChoice), lassoButton,
      button("+", "Zoom in", () => zoomBy(1.6)), button("−", "Zoom out", () => zoomBy(1 / 1.6)), button("⤢", "Show all", () => showAll())),
    make("div", { class: "spread" }, make("div", {}, frame, legend), panel));

  const renderer = pointRenderer(points, !new URLSearchParams(location.search).has("canvas"));
  frame.dataset.renderer = renderer.kind;
  const camera = { x: 0, y: 0, zoom: 1, wide: 1, tall: 1, dense: 1, across: 1, up: 1, // pixels a unit: across and up
    place: (x, y) => [camera.wide / 2 + (x - camera.x) * camera.across, camera.tall / 2 - (y - camera.y) * camera.up],
    from: (u, v) => [camera.x + (u - camera.wide / 2) / camera.across, camera.y - (v - camera.tall / 2) / camera.up] };
  const names = new Map(), hidden = new Set();
  let data = null, codes = null, groups = { names: [], ordered: false }, source = null, shownItem = null, shownColour = null, marks = [];
  let hovered = -1, drawing = false, asking = null, waiting = false, closed = false, moved = 0, coloursNow = null, shownAt;

  // ---------------------------------------------------------------- drawing
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (closed || !data || !codes) return;
      fit();
      const area = camera.wide * camera.tall, size = Math.max(1.1, Math.min(7, Math.sqrt(area / data.items) * 0.4)) * Math.min(3, camera.zoom ** 0.35);
      frame.dataset.drawn = String(renderer.draw(camera, size, marks.length ? 0.45 : 0.85));
      const labels = drawOverlay(overlay, camera, { data, marks, hovered, lasso: gestures.lasso, colours: coloursNow, names, focused: overlay.matches(":focus-visible"),
        shown: { row: (row) => !hidden.has(codes[row]), cluster: (cluster) => shownColour !== "cluster" || !hidden.has(data.head.clusters.indexOf(cluster)) } });
      frame.dataset.labels = String(labels.length);
    });
  }

  function fit() {
    const wide = frame.clientWidth, tall = frame.clientHeight, dense = devicePixelRatio || 1;
    for (const canvas of [points, overlay]) {
      if (canvas.width !== Math.round(wide * dense) || canvas.height !== Math.round(tall * dense)) {
        canvas.width = Math.round(wide * dense);
        canvas.height = Math.round(tall * dense);
      }
    }
    const size = (camera.zoom * MARGIN) / 2;
    Object.assign(camera, { wide, tall, dense, across: size * Math.min(wide, STRETCH * tall), up: size * Math.min(tall, STRETCH * wide) });
  }

  const colourOf = (name) => {
    const probe = make("i", {});
    probe.style.color = `var(--${name})`;
    frame.append(probe);
    const text = getComputedStyle(probe).color;
    probe.remove();
    return text;
  };
  const rgb = (text) => text.match(/[\d.]+/g).slice(0, 3).map(Number);

  // The colours of 256 codes; hidden groups are transparent.
  function paint() {
    coloursNow = Object.fromEntries(["ink", "card", "wash", "mark"].map((name) => [name, colourOf(name)]));
    const rgba = new Uint8Array(1024), set = (code, [r, g, b], alpha = 255) => rgba.set([r, g, b, hidden.has(code) ? 0 : alpha], 4 * code);
    if (shownColour === "popularity") {
      const stops = ["s4", "s3", "s2", "s1", "s0"].map((name) => rgb(colourOf(name)));
      for (let code = 0; code < 256; code++) {
        const at = (code / 255) * 4, low = Math.min(3, Math.floor(at)), part = at - low;
        set(code, stops[low].map((value, c) => value + (stops[low + 1][c] - value) * part));
      }
    } else {
      groups.names.forEach((_, code) => set(code, rgb(colourOf(groupColour(code)))));
      set(NONE, rgb(colourOf("c7")), 150);
    }
    renderer.palette(rgba);
    drawLegend();
    draw();
  }

  function groupColour(code) {
    if (shownColour === "cluster") return `c${data.head.clusters[code].colour}`;
    return groups.ordered ? `s${4 - Math.round((code * 4) / Math.max(1, groups.names.length - 1))}` : `c${code}`;
  }

  function drawLegend() {
    if (shownColour === "popularity") {
      legend.replaceChildren(make("span", {}, "rare"), make("span", { class: "ramp", "aria-hidden": "true" }), make("span", {}, "popular"));
      return;
    }
    const entry = (text, code, colour) => {
      const key = make("i", { "aria-hidden": "true" });
      key.style.background = `var(--${colour})`;
      return make("button", { type: "button", "aria-pressed": String(!hidden.has(code)), title: "Show or hide", onclick: () => {
        if (hidden.has(code)) hidden.delete(code); else hidden.add(code);
        paint();
        [...legend.children].find((child) => child.dataset.code === String(code))?.focus();
      }, "data-code": String(code) }, key, make("bdi", {}, text));
    };
    const entries = groups.names.map((text, code) => entry(text, code, groupColour(code)));
    legend.replaceChildren(...entries, ...(shownColour === "cluster" ? [] : [entry("other or none", NONE, "c7")]));
  }

  // ---------------------------------------------------------------- the state
  // The place that is shown, as the URL has it.
  const here = () => (camera.zoom === 1 && !camera.x && !camera.y ? undefined : [camera.x, camera.y, camera.zoom].map((value) => Number(value.toPrecision(5))).join(" "));
  const noteHere = debounce(() => { if (!closed && here() !== state.at) { shownAt = here(); go({ at: shownAt }, { replace: true }); } }, 400);

  function follow() {
    if (state.at === shownAt) return;
    shownAt = state.at;
    const [x, y, zoom] = (state.at || "0 0 1").split(" ").map(Number);
    if ([x, y, zoom].every(Number.isFinite)) Object.assign(camera, { x, y, zoom: Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, zoom)) });
    draw();
  }

  async function render() {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    document.title = "Map · embedrec";
    const wanted = sources.find((one) => `${one.kind} ${one.name}` === state.source) || sources[0];
    sourceChoice.value = `${wanted.kind} ${wanted.name}`;
    try {
      if (wanted !== source || !data) await open(wanted, signal);
      follow();
      await Promise.all([colour(signal), choose(signal)]);
    } catch (error) {
      if (!signal.aborted) message.replaceChildren(problem(error));
    }
  }

  async function open(wanted, signal) {
    message.replaceChildren(notice(`Loading the map of ${number(wanted.items)} items …`));
    const loaded = await loadMap(wanted, signal);
    source = wanted;
    data = loaded;
    codes = null;
    marks = [];
    shownItem = shownColour = null;
    names.clear();
    renderer.points(data);
    const options = [["popularity", "popularity"], ["cluster", "cluster"], ...data.head.features.map((name) => [`feature:${name}`, name.replaceAll("_", " ")])];
    colourChoice.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
    const without = renderer.kind === "canvas" ? " This browser has no WebGL: the points are drawn more slowly, and of many only the most frequent." : "";
    message.replaceChildren(...(without ? [notice(without.trim())] : []));
    overlay.setAttribute("aria-label", `Map of ${number(data.items)} items. Arrow keys move, plus and minus zoom, 0 shows all, Enter chooses the item in the middle.`);
    announce(`The map shows ${number(data.items)} items.`);
    panelHelp();
    Object.assign(camera, { x: 0, y: 0, zoom: 1 });
    shownAt = undefined;
  }

  async function colour(signal) {
    const names = [...colourChoice.options].map((option) => option.value);
    const wanted = names.includes(state.colour) ? state.colour : "cluster";
    colourChoice.value = wanted;
    if (wanted === shownColour) return;
    if (wanted === "popularity") {
      groups = { names: [], ordered: true };
      codes = Uint8Array.from(data.popularity, (share) => Math.round(share * 255));
    } else if (wanted === "cluster") {
      groups = { names: data.head.clusters.map((cluster) => cluster.text), ordered: false };
      codes = data.cluster;
    } else {
      const loaded = await loadColours(source, wanted.slice("feature:".length), signal);
      groups = { names: loaded.head.groups, ordered: loaded.head.ordered };
      codes = loaded.group;
    }
    shownColour = wanted;
    hidden.clear();
    renderer.codes(codes);
    paint();
  }

  // Mark the item of the state and its neighbours, and list them.
  async function choose(signal) {
    if (state.item === shownItem) return;
    if (!state.item) { marks = []; shownItem = undefined; panelHelp(); draw(); return; }
    const answer = await post("/v1/similar", { items: [state.item], k: state.k || NEIGHBOURS, where: state.where, ...named(source) }, signal);
    if (answer.version !== data.head.version) { // a new version is served: its rows differ
      source.version = answer.version;
      await open(source, signal);
      await colour(signal);
    }
    const [{ item, name, neighbours }] = answer.results;
    const known = await details(source, [item, ...neighbours.map((one) => one.item)], signal);
    const rows = [item, ...neighbours.map((one) => one.item)].map((id) => known.get(String(id))).filter(Boolean);
    shownItem = state.item;
    marks = rows.map((one) => one.row);
    rows.forEach((one) => names.set(one.row, plainName(one)));
    const title = { item, name }, self = rows[0];
    const list = make("ol", { class: "items" }, neighbours.map((one) => itemRow(one, source, { best: neighbours[0]?.score })));
    list.addEventListener("click", stay);
    panel.replaceChildren(make("h2", {}, nameOf(title)), make("p", { class: "about" }, self ? [item && `id ${item}`, self.count !== null && `${number(self.count)} events`, featureText(self.features)].filter(Boolean).join(" · ") : ""),
      make("p", { class: "actions" }, make("button", { type: "button", onclick: () => go({ view: "similar" }) }, "In every model"),
        make("button", { type: "button", onclick: () => { addToSession(title); announce(`${plainName(title)} is in the session`); } }, "Add to the session")), list);
    bringIntoView(marks[0]);
    announce(`${plainName(title)} and its ${neighbours.length} neighbours are marked.`);
    await fillFeatures(list, source, signal);
  }

  // A click on an item of the panel stays on the map.
  function stay(event) {
    const link = event.target.closest("a.item");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    go({ item: link.closest("li").dataset.item });
  }
  panel.addEventListener("click", stay, true);

  function panelHelp() {
    panel.replaceChildren(notice("Click a point, or find an item above, to mark its neighbours. Drag to move, turn the wheel or pinch to zoom, and draw around points with the lasso."));
  }

  function bringIntoView(row) {
    fit();
    const [x, y] = camera.place(data.position[2 * row], data.position[2 * row + 1]);
    if (x < 30 || y < 30 || x > camera.wide - 30 || y > camera.tall - 30) {
      [camera.x, camera.y] = [data.position[2 * row], data.position[2 * row + 1]];
      noteHere();
    }
    draw();
  }

  // ---------------------------------------------------------------- moving
  const shown = (row) => !hidden.has(codes[row]);
  const meant = (u, v) => nearest(data, ...camera.from(u, v), REACH / camera.across, shown);

  function zoomBy(factor, u = camera.wide / 2, v = camera.tall / 2) {
    const [x, y] = camera.from(u, v);
    camera.zoom = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, camera.zoom * factor));
    fit();
    const [a, b] = camera.from(u, v);
    camera.x += x - a;
    camera.y += y - b;
    noteHere();
    draw();
  }

  function showAll() { Object.assign(camera, { x: 0, y: 0, zoom: 1 }); noteHere(); draw(); }

  function setLasso(on) {
    drawing = on;
    lassoButton.setAttribute("aria-pressed", String(on));
    frame.classList.toggle("drawing", on);
  }

  async function take(row) {
    const item = await itemOf(row);
    if (item) go({ item: String(item.item) });
  }

  async function itemOf(row) {
    const { items } = await post("/v1/items", { rows: [row], ...named(source) });
    if (items[0]) names.set(row, plainName(items[0]));
    return items[0];
  }

  const nameHovered = debounce(async (row) => {
    if (row !== hovered || row < 0) return;
    if (!names.has(row)) await itemOf(row).catch(() => null);
    if (row === hovered && names.has(row)) showTip(row);
  }, 40);

  function showTip(row) {
    const [x, y] = camera.place(data.position[2 * row], data.position[2 * row + 1]);
    tip.replaceChildren(make("bdi", {}, names.get(row)));
    tip.hidden = false;
    tip.style.left = `${Math.max(4, Math.min(x + 12, camera.wide - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, y - tip.offsetHeight - 10)}px`;
  }

  function hover(row) {
    if (row === hovered) return;
    hovered = row;
    tip.hidden = true;
    if (row >= 0 && names.has(row)) showTip(row); else nameHovered(row);
    overlay.style.cursor = row >= 0 ? "pointer" : "";
    draw();
  }

  // List the items inside a polygon of pixels.
  async function takeLasso(corners) {
    setLasso(false);
    const rows = inside(data, corners.map(([u, v]) => camera.from(u, v)), shown);
    draw();
    announce(`${number(rows.length)} items are inside.`);
    if (!rows.length) { panel.replaceChildren(notice("No items are inside.")); return; }
    rows.sort((a, b) => data.popularity[b] - data.popularity[a] || a - b);
    marks = rows.slice(0, LISTED);
    shownItem = null;
    const { items } = await post("/v1/items", { rows: marks, ...named(source) });
    items.filter(Boolean).forEach((item) => names.set(item.row, plainName(item)));
    panel.replaceChildren(make("h2", {}, `${number(rows.length)} items`), make("p", { class: "about" }, rows.length > LISTED ? `The ${LISTED} most popular:` : "The most popular first:"),
      make("ol", { class: "items plain" }, items.filter(Boolean).map((item) => make("li", { "data-item": String(item.item) },
        make("div", { class: "row" }, make("span", { class: "what" }, itemLink(item)), make("span", { class: "score" }, item.count === null ? "" : number(item.count)),
          make("button", { type: "button", class: "small", "aria-label": `Add ${plainName(item)} to the session`, onclick: () => addToSession(item) }, "+"))))));
    draw();
  }

  const failed = (error) => message.replaceChildren(problem(error));
  const gestures = startGestures(overlay, {
    ready: () => data && codes,
    drawing: () => drawing,
    hover: (u, v) => hover(data ? meant(u, v) : -1),
    click: (u, v) => { const row = meant(u, v); if (row >= 0) take(row).catch(failed); },
    pan: (du, dv) => { camera.x += du / camera.across; camera.y -= dv / camera.up; hover(-1); noteHere(); draw(); },
    middle: () => { const row = nearest(data, camera.x, camera.y, 2, shown); if (row >= 0) take(row).catch(failed); },
    cancel: () => { setLasso(false); go({ item: undefined }); },
    inside: (corners) => takeLasso(corners).catch(failed),
    zoomBy, showAll, draw,
  });
  const sized = new ResizeObserver(draw);
  sized.observe(frame);
  const themed = () => { if (data && codes) paint(); };
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  document.addEventListener("theme", themed);
  scheme.addEventListener("change", themed);
  return { render, close() { closed = true; asking?.abort(); sized.disconnect(); document.removeEventListener("theme", themed); scheme.removeEventListener("change", themed); renderer.close(); } };
}
