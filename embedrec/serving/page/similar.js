// The view of similar items: the neighbours of an item in every index and model, side by side.

import { details, get, named, post } from "./api.js";
import { flagControl, listControl, nodes, numberControl, settingsPanel, showAll, sliderControl } from "./controls.js";
import { announce, featureText, make, nameOf, notice, number, plainName, problem } from "./dom.js";
import { addToSession, fillFeatures, itemLink, itemRow, markEverywhere, sourceCard } from "./lists.js";
import { policyTable } from "./policies.js";
import { POLICIES, go, state } from "./state.js";

const DEFAULT_K = 10;
const POPULAR = 12; // items offered to begin with

export function similarView(box, served) {
  const sources = served.filter((source) => source.answers.includes("similar"));
  const head = make("div", { class: "heading" }), columns = make("div", { class: "columns" });
  let names = [], asking = null;
  const controls = [
    numberControl("k", "Neighbours", { min: 1, max: 200, placeholder: String(DEFAULT_K) }),
    sliderControl("popularity", "Popularity exponent:", { min: 0, max: 1, step: 0.05, unset: "as trained" }),
    listControl("where", "Only where", { placeholder: "feature=value", suggestions: () => names }),
    listControl("only", "Only these ids", { placeholder: "id" }),
    listControl("exclude", "Exclude ids", { placeholder: "id" }),
    flagControl("exact", "Exact against index"),
    flagControl("explain", "Past sessions with both"),
  ];
  const policies = [
    numberControl("min_score", "Minimum score", { min: -1e6, max: 1e6, step: "any" }),
    numberControl("min_evidence", "Minimum shared sessions", { min: 1, max: 1e6 }),
    flagControl("mutual", "Mutual neighbours"),
    numberControl("csls", "CSLS over nearest", { min: 1, max: 100 }),
    numberControl("discount", "Popularity discount", { min: 0, max: 10, step: 0.05 }),
    listControl("cap", "At most N of a feature", { placeholder: "feature=N", suggestions: () => names.map((name) => name.replace(/[^\w-].*$/, "=2")) }),
    numberControl("mmr", "Diversity (MMR)", { min: 0, max: 1, step: 0.05 }),
    flagControl("back_off", "Fill short lists"),
  ];
  const more = make("details", { class: "policies" }, make("summary", {}, "Policies: scores before and after each"), make("div", { class: "controls" }, nodes(policies)));
  more.open = withPolicies();
  const panel = settingsPanel(make("div", { class: "controls" }, nodes(controls)), more);
  box.append(head, panel, columns);
  markEverywhere(columns);

  async function render() {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    showAll(controls);
    showAll(policies);
    columns.classList.toggle("tables", withPolicies());
    panel.hidden = columns.hidden = !state.item || !sources.length;
    try {
      if (!sources.length) head.replaceChildren(notice("Nothing that has similar items is served: run `embedrec build-index`, or `embedrec train cooccurrence`."));
      else if (!state.item) await begin(signal);
      else await Promise.all([heading(signal), ...lists(signal)]);
    } catch (error) {
      if (!signal.aborted) head.append(problem(error));
    }
  }

  // Without an item: what to do, and items to begin with.
  async function begin(signal) {
    document.title = "embedrec";
    head.replaceChildren(make("h1", {}, "What is similar to what?"),
      notice("Find an item by name or id above, or begin with one of these."), make("p", { class: "starts" }, "Loading …"));
    const items = await popularItems(sources[0], signal);
    head.querySelector(".starts").replaceChildren(...items.flatMap((item) => [itemLink(item), " "]));
  }

  async function heading(signal) {
    const [source] = sources;
    const item = (await details(source, [state.item], signal)).get(state.item);
    const title = item || { item: state.item, name: "" };
    document.title = `${plainName(title)} · embedrec`;
    names = item ? Object.entries(item.features).flatMap(([name, value]) => suggestions(name, value)) : [];
    showAll(controls);
    showAll(policies);
    const facts = item ? [item.name && `id ${item.item}`, item.count !== null && `${number(item.count)} events`, featureText(item.features)] : [];
    head.replaceChildren(make("h1", {}, nameOf(title)), make("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
      make("p", { class: "actions" },
        make("button", { type: "button", onclick: () => { addToSession(title); announce(`${plainName(title)} is in the session`); } }, "Add to the session"),
        served.some((one) => one.options.includes("map")) && make("button", { type: "button", onclick: () => go({ view: "map" }) }, "On the map")));
  }

  function lists(signal) {
    const cards = sources.map((source) => ({ source, ...sourceCard(source) }));
    if (columns.dataset.item !== state.item || !columns.children.length) columns.replaceChildren(...cards.map(({ card }) => card));
    else cards.forEach(({ card, body }, at) => { // old lists stay until the new ones arrive
      body.replaceChildren(...columns.children[at].querySelector(".body").childNodes);
      columns.children[at].replaceWith(card);
    });
    columns.dataset.item = state.item;
    return cards.map(async ({ source, body, fill }) => {
      try {
        fill(...(await list(source, signal)));
        await fillFeatures(body, source, signal);
      } catch (error) {
        if (!signal.aborted) fill(problem(error), nearMisses(error.near));
      }
    });
  }

  async function list(source, signal) {
    if (withPolicies()) return policyList(source, signal);
    const { answer, remarks } = await askSimilar(source, signal);
    const [{ item, neighbours }] = answer.results;
    if (String(item) !== state.item && source === sources[0]) go({ item: String(item) }, { replace: true }); // it was a name
    const exact = state.exact && source.kind === "index" ? (await askSimilar(source, signal, true)).answer.results[0].neighbours : null;
    const rows = exact ? compared(neighbours, exact) : neighbours.map((item) => [item, []]);
    if (exact) remarks.push(`The index finds ${exact.length - rows.filter(([, marks]) => marks[0]?.[0] === "missed").length} of the exact ${exact.length}.`);
    else if (state.exact && source.kind === "model") remarks.push("A model is searched exactly.");
    const best = Math.max(...neighbours.map((item) => item.score));
    return [...[...remarks, ...answer.messages].map((text) => notice(text, "remark")),
      neighbours.length ? make("ol", { class: "items" }, rows.map(([item, marks]) => itemRow(item, source, { marks, best, exclude }))) : notice("No neighbours.")];
  }

  async function policyList(source, signal) {
    const given = Object.fromEntries([...POLICIES, "k", "where", "only", "exclude"].map((name) => [name, state[name]]));
    const popularity = source.options.includes("popularity") ? state.popularity : undefined;
    const answer = await get("/v1/policies", { item: state.item, ...given, popularity, ...named(source) }, signal);
    return [...answer.messages.map((text) => notice(text, "remark")), policyTable(answer.steps, state.k || DEFAULT_K)];
  }
  return { render, close: () => asking?.abort() };
}

const isOn = (value) => Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false && value !== "";

const withPolicies = () => POLICIES.some((name) => isOn(state[name]));

const exclude = (item) => go({ exclude: [...new Set([...state.exclude, String(item.item)])] }, { replace: true });

// The most frequent of the first items of a source.
export async function popularItems(source, signal, count = POPULAR) {
  const rows = [...Array(Math.min(source.items, 500)).keys()];
  const { items } = await post("/v1/items", { rows, ...named(source) }, signal);
  return items.filter(Boolean).sort((a, b) => (b.count ?? 0) - (a.count ?? 0)).slice(0, count);
}

// Conditions on a feature, as examples.
function suggestions(name, value) {
  if (Array.isArray(value)) return value.map((one) => `${name}=${one}`);
  return typeof value === "number" ? [`${name}>=${value}`, `${name}<${value}`] : [`${name}=${value}`];
}

// The answer of a source; what it cannot do is left out and remarked.
async function askSimilar(source, signal, exact = false) {
  const list = (values) => (values.length ? values : undefined);
  const able = (option) => source.options.includes(option);
  const remarks = [];
  if (state.popularity !== undefined && !able("popularity")) {
    remarks.push(source.kind === "index" ? "An index keeps the popularity exponent it was built with." : "This model has no popularity exponent.");
  }
  if (state.explain && !able("explain similar")) remarks.push("The sessions that it was trained on are unknown.");
  const given = {
    items: [state.item], k: state.k, where: state.where, only: list(state.only), exclude: list(state.exclude), exact,
    explain: Boolean(state.explain) && able("explain similar"), popularity: able("popularity") ? state.popularity : undefined, ...named(source),
  };
  const answer = await post("/v1/similar", given, signal);
  source.version = answer.version; // a new one may have taken its place
  return { answer, remarks };
}

// The lists of an index and of an exact search as one: items that the index misses are marked, and those it has instead.
export function compared(neighbours, exact) {
  const found = new Set(neighbours.map((item) => item.item)), right = new Set(exact.map((item) => item.item));
  const extra = neighbours.filter((item) => !right.has(item.item)).map((item) => [item, [["extra", "not among the exact"]]]);
  return [...exact.map((item) => [item, found.has(item.item) ? [] : [["missed", "missed by the index"]]]), ...extra]
    .sort((a, b) => b[0].score - a[0].score || a[0].rank - b[0].rank);
}

function nearMisses(near) {
  return near.length ? make("ul", { class: "near" }, near.map((item) => make("li", {}, itemLink(item)))) : null;
}
