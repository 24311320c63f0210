// The state of the page, which is the query string of its URL.

const NUMBERS = ["k", "popularity"];
const LISTS = ["items", "where", "only", "exclude", "cap"];
const FLAGS = ["exact", "explain", "mutual", "back_off"];
export const POLICIES = ["min_score", "min_evidence", "mutual", "csls", "discount", "cap", "mmr", "back_off"];

export const EMPTY = { view: "similar", items: [], where: [], only: [], exclude: [], cap: [] };

const listeners = [];
export let state = parse(location.search);

export function parse(search) {
  const result = { ...EMPTY };
  const parameters = new URLSearchParams(search);
  for (const name of new Set(parameters.keys())) {
    if (LISTS.includes(name)) result[name] = parameters.getAll(name).filter((value) => value !== "");
    else if (FLAGS.includes(name)) result[name] = parameters.get(name) === "1";
    else if (NUMBERS.includes(name)) {
      const value = Number(parameters.get(name));
      if (parameters.get(name) !== "" && Number.isFinite(value)) result[name] = value;
    } else result[name] = parameters.get(name);
  }
  return result;
}

export function format(given) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    if (LISTS.includes(name)) value.forEach((one) => parameters.append(name, one));
    else if (FLAGS.includes(name)) { if (value) parameters.set(name, "1"); }
    else if (value !== undefined && value !== null && value !== "" && !(name === "view" && value === EMPTY.view)) {
      parameters.set(name, String(value));
    }
  }
  return `/?${parameters}`.replace(/\?$/, "");
}

// Change the state. A new entry of the browser's history is made unless `replace`.
export function go(change, { replace = false } = {}) {
  const next = { ...state, ...change };
  const url = format(next);
  if (url !== location.pathname + location.search) {
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }
  state = next;
  listeners.forEach((listener) => listener(state));
}

export const onChange = (listener) => listeners.push(listener);

addEventListener("popstate", () => {
  state = parse(location.search);
  listeners.forEach((listener) => listener(state));
});
