// Lists of items: neighbours and next items.

import { details, get, named } from "./api.js";
import { featureText, make, nameOf, number, plainName, problem, scoreText } from "./dom.js";
import { format, go, state } from "./state.js";

// A link to the neighbours of an item.
export function itemLink(item) {
  const change = { view: "similar", item: String(item.item) };
  const follow = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(change);
    document.getElementById("view").focus({ preventScroll: true });
    scrollTo({ top: 0 });
  };
  return make("a", { class: "item", href: format({ ...state, ...change }), onclick: follow }, nameOf(item));
}

export const addToSession = (item) => go({ items: [...state.items, String(item.item)] });

function addButton(item) {
  const add = (event) => {
    addToSession(item);
    event.currentTarget.textContent = "✓";
    event.currentTarget.disabled = state.view !== "session";
  };
  return make("button", { type: "button", class: "small", "aria-label": `Add ${plainName(item)} to the session`, title: "Add to the session", onclick: add }, "+");
}

// A row of a list. Marks are [class, text] pairs; exclude(item) leaves it out of the results.
export function itemRow(item, source, { marks = [], reason = null, exclude = null, best = 1 } = {}) {
  const share = best > 0 ? Math.max(0, Math.min(1, item.score / best)) : 0;
  const bar = make("span", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", share);
  return make("li", { class: marks.map(([kind]) => kind).join(" "), "data-item": String(item.item) },
    make("div", { class: "row" },
      make("span", { class: "rank" }, String(item.rank)),
      make("span", { class: "what" }, itemLink(item), " ", marks.map(([, text]) => text && make("span", { class: "mark" }, text))),
      make("span", { class: "score", title: `score ${item.score}` }, scoreText(item.score), bar),
      addButton(item),
      exclude && make("button", { type: "button", class: "small", "aria-label": `Exclude ${plainName(item)}`, title: "Exclude", onclick: () => exclude(item) }, "×")),
    make("small", { class: "features" }, item.name && make("span", { class: "id" }, `id ${item.item}`), make("span", { class: "values" })),
    item.sessions?.length ? pastSessions(item, source) : null,
    reason && make("small", { class: "reason" }, reason));
}

function pastSessions(item, source) {
  const count = item.sessions.length;
  const box = make("details", { class: "sessions" },
    make("summary", {}, `${count === 3 ? "3 or more past sessions" : count === 1 ? "1 past session" : `${count} past sessions`}`));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.children.length > 1) return;
    const list = make("ul", {});
    box.append(list);
    for (const { session, similarity } of item.sessions) {
      const entry = make("li", {}, `${session}, similarity ${similarity}: …`);
      list.append(entry);
      try {
        const past = await get("/v1/past-sessions", { session, ...named(source) });
        entry.replaceChildren(make("b", {}, make("bdi", {}, String(session))), `, similarity ${similarity}${past.time && `, ${past.time}`}: `,
          ...sessionText(past, [...state.items, state.item, String(item.item)]));
      } catch (error) {
        entry.replaceChildren(`${session}, similarity ${similarity}: ${error.message}`);
      }
    }
  });
  return box;
}

const SHORT = 24; // a session of so many items is shown whole
const AROUND = 3; // items around those that explain, of a longer one

// The names of a session's items, those of some ids in bold; of a long session the parts around these.
function sessionText(past, ids) {
  const bold = past.items.map((id) => ids.includes(String(id)));
  const near = (at) => bold.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(Boolean);
  const parts = [];
  let gap = false;
  past.items.forEach((id, at) => {
    if (past.items.length > SHORT && !near(at)) { gap = true; return; }
    if (parts.length || gap) parts.push(gap ? " … " : ", ");
    gap = false;
    parts.push(make(bold[at] ? "b" : "span", {}, make("bdi", {}, past.names[at] || String(id))));
  });
  return [...parts, gap ? " …" : "", ` (${number(past.items.length)} items)`];
}

// Fill in the features of the items of a list, which the answers lack.
export async function fillFeatures(list, source, signal) {
  const rows = [...list.querySelectorAll("li[data-item]")];
  if (!rows.length) return;
  try {
    const known = await details(source, rows.map((row) => row.dataset.item), signal);
    for (const row of rows) {
      const item = known.get(row.dataset.item);
      const text = item ? featureText(item.features) : "";
      if (text) row.querySelector(".values").textContent = (item.name ? " · " : "") + text;
    }
  } catch (error) {
    if (!signal?.aborted) list.after(problem(error));
  }
}

// Hovering or focusing an item marks it in every list.
export function markEverywhere(box) {
  const mark = (event) => {
    const over = event.target.closest?.("li[data-item]")?.dataset.item;
    for (const row of box.querySelectorAll("li[data-item]")) row.classList.toggle("same", row.dataset.item === over);
  };
  for (const name of ["pointerover", "pointerleave", "focusin", "focusout"]) box.addEventListener(name, mark);
}

// A card of a source: heading, remarks, and a body that is filled when the answer arrives.
export function sourceCard(source) {
  const recall = Object.entries(source.measured).find(([name]) => name.startsWith("recall@"));
  const about = [source.recipe, `${number(source.items)} items`, recall && `${recall[0]} ${recall[1]}`].filter(Boolean).join(" · ");
  const body = make("div", { class: "body", "aria-busy": "true" }, make("p", { class: "loading" }, "Loading …"));
  const card = make("section", { class: "card source", "aria-label": `${source.kind} ${source.name}` },
    make("h2", {}, make("span", { class: "kind" }, source.kind), " ", source.name), make("p", { class: "about" }, about), body);
  return { card, body, fill: (...children) => { body.setAttribute("aria-busy", "false"); body.replaceChildren(...children.flat().filter(Boolean)); } };
}
