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

/** The hub is most likely where this module was loaded from. */
const HOME = new URL(import.meta.url).origin;

/** One client for all elements of a page that use the same hub. @type {Map<string, Hub>} */
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

/** The page's own scripts run first, since they may set the element's hub.
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

/** Notifies the elements of a page that one of them has ended sessions. */
const endings = new EventTarget();

/** So that a server, where there is no `HTMLElement`, can import the elements. */
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
  /** Contains everything, so that its `lang` can be set. @protected */
  box = make("div", { class: "box" });
  /** Whether the own session has ended. @protected */
  isOver = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styleSheet()];
    root.append(this.box);
  }

  /** The client that the element uses: the page's unless another is set. */
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
    // A `hub` that was set before the element was defined hides the accessor.
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

  // ---- For subclasses to override ----

  /** Connected to a document. @protected @param {AbortSignal} _signal aborted when it no longer is */
  appeared(_signal) {}
  /** A hub was set. @protected @param {Hub} _hub */
  joined(_hub) {}
  /** @protected @param {string} _state */
  stateChanged(_state) {}
  /** A pending logout was delivered to the hub. @protected @param {Receipt} _answer */
  delivered(_answer) {}
  /** Sessions of this user were ended on this page. @protected */
  othersEnded() {}
  /** The own session is over.
   * @protected @param {string} _message the app's words for it, if any */
  ended(_message) {}
  /** The language has changed: render everything in `words`. @protected */
  retext() {}
}
