// Controls of the state: each changes one entry of it as soon as it is used.

import { debounce, make } from "./dom.js";
import { go, state } from "./state.js";

const change = debounce((name, value) => go({ [name]: value }, { replace: true }), 200);

// A number; empty for the default.
export function numberControl(name, label, { min, max, step = 1, placeholder = "" }) {
  const input = make("input", { id: `control-${name}`, type: "number", min: String(min), max: String(max), step: String(step), placeholder, inputmode: "decimal" });
  input.addEventListener("input", () => { if (input.checkValidity()) change(name, input.value === "" ? undefined : Number(input.value)); });
  const show = () => { if (document.activeElement !== input) input.value = state[name] ?? ""; };
  return { node: make("label", { class: "control" }, make("span", {}, label), input), show };
}

export function flagControl(name, label) {
  const input = make("input", { id: `control-${name}`, type: "checkbox", onchange: () => go({ [name]: input.checked }, { replace: true }) });
  return { node: make("label", { class: "control flag" }, input, make("span", {}, label)), show: () => { input.checked = Boolean(state[name]); } };
}

// A slider that has no value until it is moved.
export function sliderControl(name, label, { min, max, step, unset }) {
  const input = make("input", { id: `control-${name}`, type: "range", min: String(min), max: String(max), step: String(step) });
  const value = make("output", { for: input.id });
  const reset = make("button", { type: "button", class: "small", "aria-label": `Reset ${label}`, onclick: () => go({ [name]: undefined }, { replace: true }) }, "↺");
  input.addEventListener("input", () => { value.textContent = input.value; change(name, Number(input.value)); });
  const show = () => {
    const given = state[name];
    value.textContent = given ?? unset;
    input.setAttribute("aria-valuetext", String(given ?? unset));
    reset.hidden = given === undefined;
    if (document.activeElement !== input || given === undefined) input.value = given ?? (min + max) / 2;
  };
  return { node: make("div", { class: "control" }, make("label", { for: input.id }, label, " ", value), make("span", { class: "slider" }, input, reset)), show };
}

// A list of texts: Enter adds one, each has a button that removes it. describe(text) is what is shown.
export function listControl(name, label, { placeholder = "", suggestions = () => [] } = {}) {
  const choices = make("datalist", { id: `choices-${name}` });
  const input = make("input", { id: `control-${name}`, type: "text", placeholder, autocomplete: "off", spellcheck: "false", maxlength: "1000", list: choices.id });
  const chips = make("span", { class: "chips" });
  const add = () => {
    const text = input.value.trim();
    input.value = "";
    if (text && !state[name].includes(text)) go({ [name]: [...state[name], text] }, { replace: true });
  };
  const remove = (text) => { go({ [name]: state[name].filter((one) => one !== text) }, { replace: true }); input.focus(); };
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); add(); } });
  input.addEventListener("change", add);
  const show = () => {
    chips.replaceChildren(...state[name].map((text) => make("span", { class: "chip" }, make("bdi", {}, text),
      make("button", { type: "button", "aria-label": `Remove ${text}`, onclick: () => remove(text) }, "×"))));
    choices.replaceChildren(...suggestions().map((value) => make("option", { value })));
  };
  return { node: make("div", { class: "control list" }, make("label", { for: input.id }, label), input, choices, chips), show };
}

export const nodes = (controls) => controls.map((control) => control.node);
export const showAll = (controls) => controls.forEach((control) => control.show());

const WIDE = 700; // pixels; on narrower pages settings are closed until they are wanted

// A card of settings that opens and closes.
export function settingsPanel(...children) {
  const box = make("details", { class: "card panel" }, make("summary", {}, "Settings"),
    make("form", { "aria-label": "Settings of the lists", onsubmit: (event) => event.preventDefault() }, ...children));
  box.open = innerWidth > WIDE;
  return box;
}
