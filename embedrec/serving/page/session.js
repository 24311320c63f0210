// The view of a session: a history that grows, and the next items of every model.

import { details, named, post } from "./api.js";
import { listControl, nodes, numberControl, settingsPanel, showAll } from "./controls.js";
import { announce, make, nameOf, notice, plainName, problem } from "./dom.js";
import { fillFeatures, itemLink, itemRow, markEverywhere, sourceCard } from "./lists.js";
import { popularItems } from "./similar.js";
import { go, state } from "./state.js";

const DEFAULT_K = 10;
const NEAREST = 50; // past sessions that explain models which do not explain themselves
const STARTS = 4;

export function sessionView(box, served) {
  const sources = served.filter((source) => source.answers.includes("recommend"));
  const past = served.find((source) => source.default.includes("neighbours")) || served.find((source) => source.answers.includes("neighbours"));
  const history = make("div", { class: "history card" }), columns = make("div", { class: "columns" });
  const controls = [
    numberControl("k", "Next items", { min: 1, max: 200, placeholder: String(DEFAULT_K) }),
    listControl("where", "Only where", { placeholder: "feature=value" }),
  ];
  const panel = settingsPanel(make("div", { class: "controls" }, nodes(controls)));
  box.append(make("h1", {}, "A session, and what comes next"), history, panel, columns);
  markEverywhere(columns);
  const names = new Map();
  let asking = null, starts = null;

  async function render() {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    document.title = "Session · embedrec";
    showAll(controls);
    panel.hidden = columns.hidden = !state.items.length || !sources.length;
    if (!sources.length) { history.replaceChildren(notice("No model that recommends is served: run `embedrec train vsknn`, and serve it.")); return; }
    drawHistory();
    try {
      await Promise.all([state.items.length ? nameItems(signal) : offerStarts(signal), ...lists(signal)]);
    } catch (error) {
      if (!signal.aborted) history.append(problem(error));
    }
  }

  async function nameItems(signal) {
    const missing = state.items.filter((id) => !names.has(id));
    if (!missing.length) return;
    for (const source of sources) { // an item may be unknown to some
      const known = await details(source, missing.filter((id) => !names.has(id)), signal);
      known.forEach((item, id) => names.set(id, item));
      if (missing.every((id) => names.has(id))) break;
    }
    drawHistory();
  }

  function drawHistory() {
    const change = (items, text) => { go({ items }); announce(text); };
    const without = (at) => state.items.filter((_, i) => i !== at);
    const swapped = (at, by) => { const items = [...state.items]; [items[at], items[at + by]] = [items[at + by], items[at]]; return items; };
    const focused = document.activeElement?.dataset?.control;
    const button = (sign, text, at, items, enabled = true) => make("button", {
      type: "button", class: "small", "aria-label": text, title: text, disabled: !enabled, "data-control": `${at} ${sign}`,
      onclick: () => change(items(), text),
    }, sign);
    const rows = state.items.map((id, at) => {
      const item = names.get(id) || { item: id, name: "" }, name = plainName(item);
      return make("li", { "data-history": id }, itemLink(item), " ",
        button("↑", `Move ${name} up`, at, () => swapped(at, -1), at > 0),
        button("↓", `Move ${name} down`, at, () => swapped(at, 1), at < state.items.length - 1),
        button("×", `Remove ${name}`, at, () => without(at)));
    });
    const count = rows.length;
    history.replaceChildren(...[
      make("div", { class: "actions" }, make("h2", {}, "History, oldest first"),
        count > 0 && make("button", { type: "button", onclick: () => change([], "The session is empty") }, "Clear")),
      count ? make("ol", { class: "past" }, rows) : notice("Find an item above to begin, or take one of these sessions."),
      !count && make("ul", { class: "starts" }, starts || []),
    ].filter(Boolean));
    if (focused) history.querySelector(`[data-control="${CSS.escape(focused)}"]`)?.focus();
  }

  // Sessions to begin with: popular items, each with its next items.
  async function offerStarts(signal) {
    if (!starts) {
      const [source] = sources;
      const first = await popularItems(source, signal, STARTS);
      starts = await Promise.all(first.map(async (item) => {
        const answer = await post("/v1/recommend", { items: [item.item], k: 2, ...named(source) }, signal);
        const items = [item, ...answer.results[0].items];
        const take = () => go({ items: items.map((one) => String(one.item)) });
        items.forEach((one) => names.set(String(one.item), one));
        return make("li", {}, make("button", { type: "button", onclick: take }, items.flatMap((one, at) => [at ? " → " : "", nameOf(one)])));
      }));
    }
    drawHistory();
  }

  function lists(signal) {
    if (!state.items.length) { columns.replaceChildren(); return []; }
    const cards = sources.map((source) => ({ source, ...sourceCard(source) }));
    cards.forEach(({ card, body }, at) => { // old lists stay until the new ones arrive
      const old = columns.children[at];
      if (!old) { columns.append(card); return; }
      body.replaceChildren(...old.querySelector(".body").childNodes);
      old.replaceWith(card);
    });
    const nearest = past ? post("/v1/neighbours", { items: state.items, k: NEAREST, ...named(past) }, signal).catch(() => null) : Promise.resolve(null);
    return cards.map(async ({ source, body, fill }) => {
      try {
        const { answer, explained } = await askNext(source, signal);
        const items = answer.results[0].items;
        const sessions = explained ? [] : (await nearest)?.sessions || [];
        const best = Math.max(...items.map((item) => item.score));
        fill(...answer.messages.map((text) => notice(text, "remark")),
          items.length ? make("ol", { class: "items" }, items.map((item) => itemRow(item, source, { best, reason: reasonOf(item, sessions) }))) : notice("No items."));
        await fillFeatures(body, source, signal);
      } catch (error) {
        if (!signal.aborted) fill(problem(error));
      }
    });
  }
  return { render, close: () => asking?.abort() };
}

// The next items; explained if the model can.
async function askNext(source, signal) {
  const explain = source.options.includes("explain recommend");
  const given = { items: state.items, k: state.k, where: state.where, skip_unknown: true, explain, ...named(source) };
  const answer = await post("/v1/recommend", given, signal);
  source.version = answer.version; // a new one may have taken its place
  return { answer, explained: explain };
}

// Why an item is recommended: the models that proposed it and the features that moved it, or near past sessions with it.
function reasonOf(item, sessions) {
  const reasons = [];
  if (item.parts) reasons.push(`proposed by ${Object.entries(item.parts).map(([name, rank]) => `${name} (#${rank})`).join(", ")}`);
  if (item.features) reasons.push(`moved by ${Object.entries(item.features).map(([name, by]) => `${name} ${by > 0 ? "+" : ""}${Number(by.toPrecision(3))}`).join(", ")}`);
  if (sessions.length) {
    const having = sessions.filter((session) => session.items.some((id) => id === item.item));
    reasons.push(having.length ? `in ${having.length} of the ${sessions.length} nearest past sessions` : `in none of the ${sessions.length} nearest past sessions`);
  }
  return reasons.join(" · ");
}
