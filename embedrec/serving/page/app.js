// The page: which view is shown, what is served, colours.

import { get, setKey } from "./api.js";
import { announce, byId, make, notice, number, plainName, problem } from "./dom.js";
import { driftView } from "./drift.js";
import { mapView } from "./map.js";
import { startSearch } from "./search.js";
import { sessionView } from "./session.js";
import { similarView } from "./similar.js";
import { EMPTY, go, onChange, state } from "./state.js";

const VIEWS = { similar: similarView, session: sessionView, map: mapView, drift: driftView };

const AGAIN = 2000; // milliseconds between two questions to a service that serves nothing yet

const page = { served: [], previous: [], shown: null, view: "" };

function render(current) {
  const name = current.view in VIEWS ? current.view : EMPTY.view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (page.view !== name) {
    page.shown?.close?.();
    byId("view").replaceChildren();
    page.view = name;
    page.shown = VIEWS[name](byId("view"), page.served, page.previous);
    document.body.dataset.view = name;
  }
  page.shown.render(current);
}

// What a chosen item does in the view that is shown.
function choose(item) {
  if (state.view === "session") go({ items: [...state.items, String(item.item)] });
  else go({ view: state.view === "map" ? "map" : "similar", item: String(item.item) });
  announce(`${plainName(item)} chosen`);
}

function links(event) {
  const link = event.target.closest("a[data-view], a[data-home]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  if ("home" in link.dataset) go({ ...Object.fromEntries(Object.keys(state).map((key) => [key, undefined])), ...EMPTY });
  else go({ view: link.dataset.view });
}

// ---------------------------------------------------------------- colours
const THEMES = { "": ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

function showTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = THEMES[theme][0];
  byId("theme").setAttribute("aria-label", `Colours: ${THEMES[theme][1]}`);
  byId("theme").title = `Colours: ${THEMES[theme][1]}`;
  document.dispatchEvent(new CustomEvent("theme"));
}

function startThemes() {
  const kept = localStorage.getItem("embedrec-theme") || "";
  showTheme(kept in THEMES ? kept : "");
  byId("theme").addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme || "") + 1) % names.length];
    localStorage.setItem("embedrec-theme", next);
    showTheme(next);
    announce(`Colours: ${THEMES[next][1]}`);
  });
}

// ---------------------------------------------------------------- start
function askKey() {
  if (byId("key")) return;
  const submit = (event) => { event.preventDefault(); setKey(byId("key").value); location.reload(); };
  byId("view").replaceChildren(make("form", { class: "card key", onsubmit: submit },
    make("label", { for: "key" }, "The service needs its key"),
    make("input", { id: "key", type: "password", autocomplete: "current-password", required: true }),
    make("button", { type: "submit" }, "Use it in this tab")));
  byId("key").focus();
}

function describeServed(version) {
  const parts = version.served.map((source) => `${source.kind} ${source.name} (${source.recipe}, ${number(source.items)} items)`);
  byId("served").replaceChildren(`embedrec ${version.embedrec} serves ${parts.join(", ")}. `,
    make("a", { href: "/docs" }, "Routes of the service"));
  for (const refused of version.refused) {
    byId("served").before(notice(`${refused.kind} ${refused.name} is not served: ${refused.reason}`, "problem"));
  }
}

async function start() {
  startThemes();
  document.addEventListener("key-needed", askKey);
  document.addEventListener("click", links);
  byId("view").replaceChildren(notice("Asking the service what it serves …"));
  await learn();
}

// Learn what is served; again after a while as long as that is nothing.
async function learn() {
  try {
    const version = await get("/v1/version", {}, undefined, 1);
    page.served = version.served;
    page.previous = version.previous;
    describeServed(version);
  } catch (error) {
    if (error.status === 401) return;
    byId("view").replaceChildren(problem(error));
    if (error.status === 503) {
      byId("view").append(notice("This page looks again every few seconds. An index or model is made by `embedrec train word2vec` and `embedrec build-index`."));
      setTimeout(learn, AGAIN);
    }
    return;
  }
  byId("view").replaceChildren();
  startSearch(choose);
  onChange(render);
  render(state);
}

start();
