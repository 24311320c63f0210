// Elements. Texts come from data and are never parsed as HTML.

export const byId = (id) => document.getElementById(id);

// make("li", {class: "x", onclick: f, hidden: true}, "text", node, …)
export function make(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name === "class" ? "class" : name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Say a sentence to screen readers.
export function announce(text) {
  const status = byId("status");
  if (status.textContent !== text) status.textContent = text;
}

// A name in isolation: its direction of writing does not turn the text around it.
export const nameOf = (item) => make("bdi", {}, item.name || String(item.item));

export const plainName = (item) => item.name || String(item.item);

export function notice(text, kind = "notice") {
  return make("p", { class: kind, role: kind === "problem" ? "alert" : null }, text);
}

export const problem = (error) => notice(error.message, "problem");

export function debounce(work, milliseconds) {
  let timer = 0;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => work(...given), milliseconds); };
}

export const number = (value) => value.toLocaleString("en");

// A score with four significant digits.
export const scoreText = (score) => String(Number(score.toPrecision(4)));

// "genres Comedy, Drama · year 1992"
export function featureText(features) {
  const shown = ([name, value]) => `${name.replaceAll("_", " ")} ${Array.isArray(value) ? value.join(", ") : value}`;
  return Object.entries(features).map(shown).join(" · ");
}
