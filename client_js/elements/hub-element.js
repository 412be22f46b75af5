/**
 * What the elements share: a hub, words in a language, a shadow root.
 *
 * @typedef {object} Hub what the elements use of a `LogoutHub`
 * @property {(options: {scope: "all" | "others" | "session"}) => Promise<Receipt>} logout
 * @property {() => Promise<ListedSession[]>} sessions
 * @property {(sid: string) => Promise<Receipt>} end
 * @property {(id: string, wait?: number) => Promise<Receipt>} receipt
 * @property {(event: any, listener: (value: any) => void) => () => void} on
 * @property {string | undefined} session
 * @property {string} state
 */
/** @import { ListedSession, Receipt } from "../core.js" */
import { createLogoutHub, pageHub } from "../client.js";
import { make } from "./dom.js";
import { styleSheet } from "./styles.js";
import { textsFor, wordings } from "./texts.js";

/** Where this module comes from, there is most likely the hub. */
const HOME = new URL(import.meta.url).origin;

/** One for all elements of a page that ask the same hub. @type {Map<string, Hub>} */
const hubs = new Map();

/** @param {HTMLElement} element @returns {Hub} */
function defaultHub(element) {
  const given = pageHub();
  if (given) return given;
  const url = new URL(element.getAttribute("url") ?? HOME, location.href).origin;
  const loginUrl = element.getAttribute("login-url") ?? undefined;
  const known = hubs.get(url);
  // After a new login in the same page.
  const isOver = !known || known.state === "ended" || known.state === "closed";
  const hub = isOver ? createLogoutHub({ url, loginUrl }) : known;
  hubs.set(url, hub);
  return hub;
}

/** The page's own scripts have their say first: they may give the element a hub.
 * @param {() => void} work @param {AbortSignal} signal */
function afterScripts(work, signal) {
  if (document.readyState === "complete") return queueMicrotask(work);
  for (const event of ["DOMContentLoaded", "load"]) addEventListener(event, work, { signal });
}

/** @param {Element} element @returns {string} the language of the nearest `lang` */
function languageOf(element) {
  const near = element.closest("[lang]");
  if (near) return near.getAttribute("lang") ?? "";
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? languageOf(root.host) : "";
}

/** @param {EventTarget} target @param {string} event @param {(event: any) => void} listener */
function listen(target, event, listener) {
  target.addEventListener(event, listener);
  return () => target.removeEventListener(event, listener);
}

/** Tells the elements of a page that one of them has ended sessions. */
const endings = new EventTarget();

/** A server, where nothing is ever shown, may still import the elements. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class HubElement extends Base {
  static observedAttributes = ["lang", "login-url"];

  /** @type {Hub | undefined} */
  #hub;
  /** @type {(() => void)[]} */
  #stops = [];
  #isPending = false;
  #life = new AbortController();
  #words = textsFor("en");
  /** All that is shown, so that it can say which language it is in. @protected */
  box = make("div", { class: "box" });
  /** Whether the own session has ended. @protected */
  isOver = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styleSheet()];
    root.append(this.box);
  }

  /** What the element talks to: the page's hub unless another is given. */
  get hub() {
    return this.#hub;
  }
  set hub(hub) {
    this.#leave();
    this.#hub = hub;
    this.isOver = false;
    if (this.isConnected) this.#join();
  }

  /** @protected */
  get words() {
    return this.#words;
  }

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    // A hub that was given before the element was defined hides the accessor.
    if (Object.hasOwn(this, "hub")) {
      const { hub } = this;
      Reflect.deleteProperty(this, "hub");
      this.#hub = hub;
    }
    wordings.addEventListener("change", () => this.#translate(), { signal });
    this.#translate();
    this.appeared(signal);
    if (this.#hub) this.#join();
    else afterScripts(() => this.#findHub(signal), signal);
  }

  /** @param {AbortSignal} signal */
  #findHub(signal) {
    if (!signal.aborted && !this.#hub) this.hub = defaultHub(this);
  }

  disconnectedCallback() {
    this.#life.abort();
    this.#leave();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#translate();
  }

  /** @protected @param {Receipt} receipt */
  announce(receipt) {
    this.#isPending = Boolean(receipt.pending);
    endings.dispatchEvent(new CustomEvent("ending", { detail: this.#hub }));
    this.dispatchEvent(new CustomEvent("outcome", { detail: receipt, bubbles: true }));
  }

  #join() {
    this.#leave();
    const hub = this.#hub;
    if (!hub) return;
    /** @param {{message?: string | null}} [notification] */
    const over = (notification) => {
      this.isOver = true;
      this.ended(notification?.message ?? "");
    };
    this.#stops = [
      hub.on("logout", over),
      hub.on("delivered", (answer) => this.#isPending && this.delivered(answer)),
      listen(endings, "ending", ({ detail }) => detail === hub && this.othersEnded()),
      hub.on("state", (state) => this.isOver || this.stateChanged(state)),
    ];
    if (hub.state === "ended") over();
    else this.joined(hub);
  }

  #leave() {
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }

  #translate() {
    this.#words = textsFor(languageOf(this));
    this.box.lang = this.#words.lang;
    this.retext();
  }

  // ---- What an element makes of it ----

  /** It is in a document. @protected @param {AbortSignal} _signal aborted when it no longer is */
  appeared(_signal) {}
  /** It has a hub. @protected @param {Hub} _hub */
  joined(_hub) {}
  /** @protected @param {string} _state */
  stateChanged(_state) {}
  /** What it asked for without a connection is done. @protected @param {Receipt} _answer */
  delivered(_answer) {}
  /** Sessions of this user were ended on this page. @protected */
  othersEnded() {}
  /** The own session is over.
   * @protected @param {string} _message the app's words for it, if any */
  ended(_message) {}
  /** Everything is to be said in `words`. @protected */
  retext() {}
}
