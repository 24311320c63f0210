// The search field: a combobox over GET /v1/items.

import { get } from "./api.js";
import { announce, byId, debounce, featureText, make, nameOf, number } from "./dom.js";

const COUNT = 12;

// choose(item) is called with the item that is chosen.
export function startSearch(choose) {
  const input = byId("query"), list = byId("matches");
  let items = [], active = -1, asking = null, answered = "";

  function show(open) {
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (!open) activate(-1);
  }

  function activate(at) {
    active = at;
    [...list.querySelectorAll("[role=option]")].forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
    if (at < 0) { input.removeAttribute("aria-activedescendant"); return; }
    input.setAttribute("aria-activedescendant", `match-${at}`);
    byId(`match-${at}`).scrollIntoView({ block: "nearest" });
  }

  function take(at) {
    const item = items[at];
    if (!item) return;
    input.value = "";
    answered = "";
    items = [];
    show(false);
    choose(item);
  }

  function draw(answer) {
    items = answer.items;
    const head = answer.nearly ? [make("li", { class: "remark", role: "presentation" }, "No name contains this; these are spelled similarly:")] : [];
    list.replaceChildren(...head, ...items.map((item, at) => make(
      "li", { role: "option", id: `match-${at}`, "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); take(at); } },
      make("span", { class: "match-name" }, nameOf(item)),
      make("small", {}, [item.name && `id ${item.item}`, item.count !== null && `${number(item.count)} events`, featureText(item.features)].filter(Boolean).join(" · ")),
    )));
    show(true);
    const more = answer.total > items.length ? `, the first ${items.length} shown` : "";
    announce(`${number(answer.total)} ${answer.total === 1 ? "match" : "matches"}${more}${answer.nearly ? ", spelled similarly" : ""}`);
  }

  async function search(then = null) {
    const query = input.value.trim();
    asking?.abort();
    if (!query) { items = []; show(false); return; }
    asking = new AbortController();
    const { signal } = asking;
    try {
      const answer = await get("/v1/items", { query, k: COUNT }, signal);
      answered = query;
      draw(answer);
      then?.();
    } catch (error) {
      if (signal.aborted) return;
      items = [];
      list.replaceChildren(make("li", { class: "remark", role: "presentation" }, error.message));
      show(true);
      announce(error.message);
    }
  }

  const later = debounce(search, 120);
  input.addEventListener("input", () => later());
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) { search(); return; }
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (items.length) activate((active + step + (active < 0 && step < 0 ? 1 : 0) + items.length) % items.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (answered === input.value.trim() && items.length) take(Math.max(active, 0));
      else search(() => take(0));
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (list.hidden) { input.value = ""; input.blur(); } else show(false);
    }
  });
  input.addEventListener("blur", () => show(false));
  input.addEventListener("focus", () => { if (items.length && input.value.trim() === answered) show(true); });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
}
