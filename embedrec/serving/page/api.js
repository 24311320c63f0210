// Requests to the service's public routes.

const KEY = "embedrec-key";
const MOST_TRIES = 4;

export class ServiceError extends Error {
  constructor(message, status = 0, near = []) { super(message); this.status = status; this.near = near; }
}

export const setKey = (key) => sessionStorage.setItem(KEY, key);

const wait = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

async function ask(path, options, signal, most = MOST_TRIES) {
  const headers = { ...options.headers };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["X-API-Key"] = key;
  for (let tried = 1; ; tried++) {
    let response;
    try {
      response = await fetch(path, { ...options, headers, signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ServiceError("The service does not answer. Is it still running?");
    }
    if (response.ok) return response;
    const again = response.status === 429 || response.status === 503;
    if (again && tried < most) {
      await wait(Math.min(Number(response.headers.get("retry-after")) || 1, 5), signal);
      continue;
    }
    if (response.status === 401) document.dispatchEvent(new CustomEvent("key-needed"));
    const details = await response.json().catch(() => ({}));
    throw new ServiceError(sentence(details.detail || `The service answered with status ${response.status}`), response.status, details.near || []);
  }
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// Parameters without a value are left out; lists are repeated.
export function queryString(given) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "" && one !== false) parameters.append(name, one);
    }
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

export const get = async (path, given = {}, signal, most) => (await ask(path + queryString(given), {}, signal, most)).json();

export async function post(path, given, signal) {
  const body = JSON.stringify(given); // leaves undefined out
  return (await ask(path, { method: "POST", body, headers: { "content-type": "application/json" } }, signal)).json();
}

export const bytes = async (path, given = {}, signal) => (await ask(path + queryString(given), {}, signal)).arrayBuffer();

// The parameter that names a source: {index: "x"} or {model: "x"}.
export const named = (source) => ({ [source.kind]: source.name });

const MOST_KNOWN = 20000;
const known = new Map(); // source, id → details

// Details of items by id: a Map of id → item with features and row; unknown ones are missing.
export async function details(source, ids, signal) {
  const key = (id) => `${source.version}\n${id}`;
  const missing = [...new Set(ids)].filter((id) => !known.has(key(id)));
  for (let start = 0; start < missing.length; start += 1000) {
    const part = missing.slice(start, start + 1000);
    const answer = await post("/v1/items", { items: part, ...named(source) }, signal);
    part.forEach((id, at) => known.set(key(id), answer.items[at]));
  }
  const result = new Map(ids.map((id) => [String(id), known.get(key(id))]).filter(([, item]) => item));
  if (known.size > MOST_KNOWN) known.clear();
  return result;
}
