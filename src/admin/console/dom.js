// Elements out of text. Whatever comes from the network becomes a text node and nothing else: there is no way here that
// takes it for markup.

const SVG = "http://www.w3.org/2000/svg";

export const find = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is null is left out, one that is no element becomes text. */
export const h = (name, attributes = {}, ...children) => make(document.createElement(name), attributes, children);

/** The same for pictures. */
export const svg = (name, attributes = {}, ...children) => make(document.createElementNS(SVG, name), attributes, children);

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value != null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Sets a text, where it is another: what reads the page aloud is not told the same again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const filled = new WeakMap();

/**
 * Fills an element anew where what it shows has changed, so that a selection, an open detail and the focus in it
 * survive the seconds in which nothing did.
 */
export function fill(element, facts, build) {
  const signature = JSON.stringify(facts);
  if (filled.get(element) === signature) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  filled.set(element, signature);
  element.replaceChildren(...[build(facts)].flat().filter((child) => child != null && child !== false));
  if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** Puts something else there for now; the next [fill] puts its own again. */
export function put(element, ...content) {
  filled.delete(element);
  element.replaceChildren(...content);
}

/** A list whose items have a sign before them: the sign says in shape what the colour says. */
export const signed = (items) => h("ul", { class: "list" }, items.map(([level, ...content]) =>
  h("li", { class: level }, h("span", { class: `sign ${level}`, "aria-label": LEVELS[level] }, SIGNS[level]), h("div", {}, ...content))));

const SIGNS = { good: "✓", warn: "!", bad: "✕", "": "·" };
const LEVELS = { good: "in order", warn: "warning", bad: "error", "": null };

/** A table; a heading that begins with # is over numbers. */
export const table = (headings, rows, attributes = {}) => h("table", attributes,
  h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col", class: numeric(heading) }, heading.replace("#", ""))))),
  h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) => h("td", { class: numeric(headings[at]) }, cell))))));

const numeric = (heading) => (heading.startsWith("#") ? "num" : null);
