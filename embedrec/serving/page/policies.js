// A list before and after each policy, as a table: a row an item, a column a policy.

import { make, scoreText } from "./dom.js";
import { itemLink } from "./lists.js";

// steps as GET /v1/policies answers them; the candidates beyond k are shown if a policy brings them in.
export function policyTable(steps, k) {
  const places = steps.map((step) => new Map(step.neighbours.map((item, at) => [item.item, { item, at }])));
  const last = steps.at(-1).neighbours.slice(0, k);
  const rest = steps[0].neighbours.slice(0, k).filter((item) => !last.some((one) => one.item === item.item));
  const heads = ["rank", "item", ...steps.map((step) => step.policy || "before")];
  const row = (item, rank) => make("tr", { class: rank ? null : "dropped" },
    make("td", {}, rank ? String(rank) : "–"), make("th", { class: "text", scope: "row" }, itemLink(item)),
    places.map((place) => {
      const entry = place.get(item.item);
      return make("td", {}, entry ? [scoreText(entry.item.score), " ", make("small", {}, `#${entry.at + 1}`)] : make("span", { class: "gone" }, "–"));
    }));
  return make("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Scores before and after each policy" },
    make("table", {}, make("thead", {}, make("tr", {}, heads.map((text) => make("th", { scope: "col", class: text === "item" ? "text" : null }, text)))),
      make("tbody", {}, last.map((item, at) => row(item, at + 1)), rest.map((item) => row(item, 0)))));
}
