"use strict";
// Makes elements. Text is inserted as text and never parsed as HTML.

const byId = (id) => document.getElementById(id);

// element("p.note", { title: "..." }, children) makes <p class="note" title="...">. The properties may be left out.
const element = (tag, ...children) => made("http://www.w3.org/1999/xhtml", tag, children);
const shape = (tag, ...children) => made("http://www.w3.org/2000/svg", tag, children);

function made(namespace, tag, children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElementNS(namespace, name);
  const properties = children[0]?.constructor === Object ? children.shift() : {};
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, set] of Object.entries(value)) node.style.setProperty(key, set);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  if (classes.length) node.classList.add(...classes);
  return fill(node, children);
}

function fill(node, ...children) {
  node.replaceChildren(...children.flat(4).filter((child) => child !== null));
  return node;
}

const percent = (share, digits = 1) => (share === null ? "–" : `${(100 * share).toFixed(digits)} %`);
const whole = (count) => count.toLocaleString("en");
// Two decimals, or one for a large number; only an exact zero is written as 0.
const plain = (value) => (value === 0 ? "0" : value.toFixed(Math.abs(value) < 10 ? 2 : 1).replace("-", "−"));
const plural = (count, thing) => `${whole(count)} ${thing}${count === 1 ? "" : "s"}`;
const shortened = (name) => (name.length > 26 ? `${name.slice(0, 25)}…` : name);
// A name with line breaks allowed after an x between two numbers.
const breakable = (name) => name.split(/(?<=\dx)(?=\d)/).flatMap((part, k) => (k ? [element("wbr"), part] : [part]));
// For plain text: control characters that isolate a name's writing direction.
const isolated = (name) => `\u2068${name}\u2069`;
const argmax = (values) => values.reduce((best, value, k) => (value > values[best] ? k : best), 0);
const strongest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const moves = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;
