/** A page, as far as the client sees one: the browser's own objects, made up for a test. */
import { MemoryStorage } from "./support.js";

/** @param {Record<string, unknown>} values */
export function pretend(values) {
  for (const [name, value] of Object.entries(values))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

/** Node 20 keeps what a signal is to do for all but a target's last listener weakly, so that the
 * garbage collector may have it first. A browser does not. */
class FakeTarget extends EventTarget {
  /** @param {string} event @param {any} listener @param {AddEventListenerOptions} [options] */
  addEventListener(event, listener, { signal, ...options } = {}) {
    super.addEventListener(event, listener, options);
    signal?.addEventListener("abort", () => this.removeEventListener(event, listener));
  }
}

/** @typedef {{place: string, value: string}} Cookie `place` is the path, then the domain if any */

/** Keeps what a browser would show: a cookie goes by its own path and domain only. */
export class FakeDocument extends FakeTarget {
  visibilityState = "visible";
  /** @type {FakeSheet[]} */
  adoptedStyleSheets = [];
  /** @type {Map<string, string>} by name, the path and domain */
  jar = new Map();
  /** What has the mark of private content. @type {{inert: boolean, hidden: boolean}[]} */
  marked = [];
  /** @type {Record<string, object[]>} other selectors */
  elements = {};
  get cookie() {
    return [...this.jar.keys()].map((name) => `${name}=1`).join("; ");
  }
  set cookie(text) {
    const [pair, ...attributes] = text.split("; ");
    const name = pair.split("=")[0];
    const read = (/** @type {string} */ key) =>
      attributes.find((attribute) => attribute.startsWith(`${key}=`))?.slice(key.length + 1);
    const domain = read("domain");
    const place = read("path") + (domain ? ` ${domain}` : "");
    if (read("max-age") === "0" && place === this.jar.get(name)) this.jar.delete(name);
  }
  /** @param {string} selector */
  querySelectorAll(selector) {
    return selector === "[data-private]" ? this.marked : (this.elements[selector] ?? []);
  }
  /** Whether private content can be seen. */
  get isOpen() {
    return this.adoptedStyleSheets.every(({ disabled }) => disabled);
  }
}

class FakeSheet {
  disabled = false;
  text = "";
  /** @param {string} text */
  replaceSync(text) {
    this.text = text;
  }
}

const NAMES = [
  "window",
  "document",
  "localStorage",
  "sessionStorage",
  "location",
  "addEventListener",
  "removeEventListener",
  "CSSStyleSheet",
  "indexedDB",
  "caches",
  "navigator",
];
const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");

/** Opens a page of that origin in this process, in place of the one before. */
export function openPage(origin = "http://unset.test") {
  const document = new FakeDocument();
  const events = new FakeTarget();
  const localStorage = new MemoryStorage();
  const sessionStorage = new MemoryStorage();
  const { hostname, protocol } = new URL(origin);
  /** @type {string[]} */
  const visited = [];
  const replace = (/** @type {string} */ address) => void visited.push(address);
  pretend({
    document,
    localStorage,
    sessionStorage,
    location: { origin, hostname, protocol, pathname: "/app/page", replace },
    CSSStyleSheet: FakeSheet,
    addEventListener: events.addEventListener.bind(events),
    removeEventListener: events.removeEventListener.bind(events),
  });
  return {
    document,
    events,
    localStorage,
    sessionStorage,
    visited,
    /** @param {"pagehide" | "pageshow" | "online"} event @param {boolean} [persisted] */
    say: (event, persisted = true) =>
      events.dispatchEvent(Object.assign(new Event(event), { persisted })),
    resume: () => document.dispatchEvent(new Event("resume")),
    /** @param {"visible" | "hidden"} state */
    setVisibility(state) {
      document.visibilityState = state;
      // It bubbles.
      for (const target of [document, events]) target.dispatchEvent(new Event("visibilitychange"));
    },
  };
}

export function closePage() {
  for (const name of NAMES) Reflect.deleteProperty(globalThis, name);
  if (navigator) Object.defineProperty(globalThis, "navigator", navigator);
}
