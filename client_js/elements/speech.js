/** The messages of the elements, as nodes. Names are isolated, as they may be right-to-left. */
/** @import { Outcome, Receipt } from "../core.js" */
/** @import { Words } from "./texts.js" */
import { make } from "./dom.js";
import { sortOutcomes } from "./outcome.js";
import { fill } from "./texts.js";

const NAMES_SHOWN = 4;

/** @typedef {(Node | string)[]} Speech */

/** @param {Words} words @param {string} key
 * @param {Record<string, Node | Speech | string | number>} [values] @returns {Speech} */
export function say({ lang, texts }, key, values = {}) {
  /** @param {any} value */
  const wrap = (value) =>
    Array.isArray(value) || value instanceof Node ? value : make("bdi", {}, String(value));
  return fill(lang, texts[key] ?? texts.refused, values, wrap).flat();
}

/** The names that the hub derives from a `User-Agent`; those set by an app are not translated. */
const MADE = /^(.+) on ((?:Windows|Mac OS X|Linux|Ubuntu|Fedora|Android|iOS|Chrome OS)\b.*)$/;

/** @param {Words} words @param {string} device @returns {string} its name, in their language */
export function nameOf({ texts }, device) {
  if (!device || device === "Unknown device") return String(texts.unknownDevice);
  const [, browser, system] = MADE.exec(device) ?? [];
  if (!system) return device;
  return String(texts.browserOn).replace(/\{(\w+)\}/g, (_, key) =>
    key === "browser" ? browser : system,
  );
}

/** @param {Words} words @param {string[]} devices @returns {Speech} not too many of them; those of
 * one name are counted */
export function nameAll(words, devices) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const name of devices.map((device) => nameOf(words, device)))
    counts.set(name, (counts.get(name) ?? 0) + 1);
  const shown = [...counts].slice(0, NAMES_SHOWN - Number(counts.size > NAMES_SHOWN));
  /** @type {Speech} */
  const names = shown.map(([name, times]) =>
    make("bdi", {}, times > 1 ? `${times} × ${name}` : name),
  );
  let count = devices.length;
  for (const [, times] of shown) count -= times;
  if (count) names.push(make("span", {}, ...say(words, "more", { count })));
  return new Intl.ListFormat(words.lang)
    .formatToParts(names.map((_, index) => String(index)))
    .map(({ type, value }) => (type === "element" ? names[Number(value)] : value));
}

/** @param {Words} words @param {Receipt} receipt @param {string | undefined} own the own session
 * @param {boolean} isOver whether that one has ended
 * @returns {HTMLElement[]} how many devices are logged out, and their outcomes */
export function describeReceipt(words, receipt, own, isOver) {
  /** @param {Outcome} outcome */
  const name = ({ sid, device }) => (sid === own ? String(words.texts.thisDevice) : device);
  const count = receipt.sessions.length;
  const lines = sortOutcomes(receipt).map(({ text, outcomes }) =>
    say(words, text, { names: nameAll(words, outcomes.map(name)) }),
  );
  if (receipt.pending) lines.unshift(say(words, "pending"));
  else if (count > Number(isOver)) lines.unshift(say(words, "done", { count }));
  else if (!isOver) lines.unshift(say(words, "doneAlone"));
  if (isOver) lines.unshift(say(words, "ended"));
  return lines.map((line) => make("p", {}, ...line));
}

/** @param {Words} words @param {string} message the app's own words, if any */
export const describeEnd = (words, message) => [
  make("p", {}, ...say(words, "ended")),
  ...(message ? [make("p", { dir: "auto" }, message)] : []),
];

/** Whether asking again may help. @param {any} error */
export const isPassing = ({ code }) => code === "unavailable" || code === "rate_limited";

/** @param {Words} words @param {any} error what the hub's client rejected with */
export const describeError = (words, { code }) =>
  say(words, code in words.texts ? code : "refused");
