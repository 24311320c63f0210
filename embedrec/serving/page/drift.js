// The view of drift: which items came and went between two versions, and whose neighbours changed.

import { get } from "./api.js";
import { nodes, numberControl, showAll } from "./controls.js";
import { announce, make, notice, number, problem } from "./dom.js";
import { itemLink } from "./lists.js";
import { go, state } from "./state.js";

const DEFAULT_K = 10;

export function driftView(box, served, previous) {
  const able = (sources) => sources.filter((source) => source.answers.includes("similar"));
  const choices = [...able(served).map((source) => [source, ""]), ...able(previous).map((source) => [source, ", before the last swap"])];
  const select = (name, label) => {
    const node = make("select", { id: `drift-${name}`, onchange: () => go({ [name]: node.value }) },
      choices.map(([source, note]) => make("option", { value: source.version }, `${source.kind} ${source.version}${note}`)));
    return [node, make("label", { class: "control" }, make("span", {}, label), node)];
  };
  const [from, fromLabel] = select("from", "From"), [to, toLabel] = select("to", "To");
  const controls = [numberControl("k", "Neighbours compared", { min: 1, max: 100, placeholder: String(DEFAULT_K) })];
  const result = make("div", { "aria-busy": "false" });
  box.append(make("h1", {}, "Drift between two versions"));
  if (choices.length < 2) {
    box.append(notice("Only one version with similar items is served. Name two with `embedrec serve --index OLD --index NEW`; after a new index takes the place of an old one, the two are compared here, too."));
    return { render() { document.title = "Drift · embedrec"; } };
  }
  box.append(make("form", { class: "card panel", "aria-label": "Versions", onsubmit: (event) => event.preventDefault() }, make("div", { class: "controls" }, fromLabel, toLabel, nodes(controls))), result);
  let asking = null;

  // The version of a name or version in the URL; by default the one before, and the first that is served.
  function chosen(name, otherwise) {
    const [source] = choices.find(([one]) => one.version === name) || choices.find(([one]) => one.name === name) || [otherwise];
    return source.version;
  }

  async function render() {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    document.title = "Drift · embedrec";
    const newest = choices[0][0], before = previous.find((source) => source.name === newest.name) || choices[1][0];
    from.value = chosen(state.from, before);
    to.value = chosen(state.to, newest);
    showAll(controls);
    result.setAttribute("aria-busy", "true");
    if (!result.children.length) result.replaceChildren(notice("Comparing …"));
    try {
      const answer = await get("/v1/drift", { from: from.value, to: to.value, k: state.k }, signal);
      show(answer);
      announce(`${Math.round(answer.overlap * 100)} percent of the neighbours stayed, ${number(answer.came.count)} items came, ${number(answer.went.count)} went.`);
    } catch (error) {
      if (!signal.aborted) result.replaceChildren(problem(error));
    }
    if (!signal.aborted) result.setAttribute("aria-busy", "false");
  }

  function show(answer) {
    const tile = (value, text) => make("div", { class: "tile" }, make("b", {}, value), make("span", {}, text));
    result.replaceChildren(
      ...answer.messages.map((text) => notice(text, "remark")),
      make("div", { class: "tiles" },
        tile(`${(answer.overlap * 100).toFixed(1)} %`, `of the ${answer.k} neighbours stayed`),
        tile(answer.rank_biased_overlap.toFixed(3), "rank-biased overlap"),
        tile(number(answer.unchanged), `of ${number(answer.compared)} lists unchanged`),
        tile(number(answer.came.count), "items came"), tile(number(answer.went.count), "items went"), ...figures(answer).map(([value, text]) => tile(value, text))),
      make("div", { class: "changes" },
        make("div", { class: "stack" }, distribution(answer), set("Came", answer.came, "No item came."), set("Went", answer.went, "No item went.")),
        moved(answer)));
  }
  return { render, close: () => asking?.abort() };
}

// Further figures, of which some versions lack some: [text, name] of each.
function figures({ figures: values }) {
  const share = (value) => `${(value * 100).toFixed(1)} %`, pair = ([old, now]) => `${share(old)} → ${share(now)}`;
  const recall = Object.keys(values).find((name) => name.endsWith(" of the index"));
  return [["median cosine", (value) => value.toFixed(3), "median cosine of both vectors of an item"],
    ["10th percentile of cosines", (value) => value.toFixed(3), "10th percentile of cosines"],
    ["coverage", pair, "of the items are in a list"],
    ["popularity of results", pair, "mean popularity of results"],
    ["shift of popularity", share, "of the events went to other items"],
    [recall, pair, recall]].filter(([name]) => name in values).map(([name, text, label]) => [text(values[name]), label]);
}

function distribution({ distribution: counts, k }) {
  const most = Math.max(...counts, 1);
  const row = (count, kept) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", count / most);
    return make("tr", {}, make("th", { scope: "row" }, String(kept)), make("td", { class: "level" }, bar), make("td", {}, number(count)));
  };
  return make("section", { class: "card" }, make("h2", {}, "How many neighbours stayed"),
    make("table", { class: "bars" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, `of ${k}`), make("th", {}, ""), make("th", { scope: "col" }, "items"))),
      make("tbody", {}, counts.map((count, kept) => row(count, kept)).reverse())));
}

function moved({ moved: items, k }) {
  const list = (sign, text, changed) => changed.length > 0 && make("div", { class: "changed" }, make("span", { class: "sign", "aria-label": text }, sign), " ",
    changed.flatMap((item, at) => [at ? ", " : "", itemLink(item)]));
  return make("section", { class: "card moved" }, make("h2", {}, "Whose neighbours changed most"),
    items.length ? make("ol", { class: "items" }, items.map((item) => make("li", { "data-item": String(item.item) },
      make("div", { class: "row" }, make("span", { class: "what" }, itemLink(item)), make("span", { class: "kept" }, `${Math.round(item.overlap * k)} of ${k} stayed`)),
      list("−", "lost:", item.lost), list("+", "gained:", item.gained)))) : notice("No list changed."));
}

function set(title, { count, items }, none) {
  return make("section", { class: "card" }, make("h2", {}, title),
    items.length ? make("ul", { class: "plain names" }, items.map((item) => make("li", { "data-item": String(item.item) }, itemLink(item)))) : notice(none),
    count > items.length && notice(`and ${number(count - items.length)} more`));
}
