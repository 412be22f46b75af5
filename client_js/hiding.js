/** Hides private content until the hub has confirmed the session, and again after an absence. */
/** @import { Core, Hooks } from "./core.js" */
import { isReplaced } from "./current-login.js";

/** @typedef {CSSStyleSheet & {hides: string, madeInert: Set<HTMLElement>}} Sheet `madeInert` by it,
 *   and not by the app */

/** In milliseconds: how often the clock is checked; a gap of five times that is an absence. An
 * object, as TIMING. */
export const PACE = { tick: 2_000 };

const MARK = "data-private";

/** @param {string | Iterable<Element>} [hide] elements are given the mark @returns {string} */
function toSelector(hide = `[${MARK}]`) {
  if (typeof hide === "string") return hide;
  for (const element of hide) element.setAttribute(MARK, "");
  return `[${MARK}]`;
}

/** A style sheet also hides what the app adds later, and no content security policy forbids it. It
 * outlives the client: a page that logs in anew without a reload has one sheet, which its next client disables.
 * @param {string} selector @returns {Sheet} */
function sheetFor(selector) {
  const adopted = /** @type {Sheet[]} */ (document.adoptedStyleSheets);
  const known = adopted.find(({ hides }) => hides === selector);
  if (known) return known;
  const sheet = Object.assign(new CSSStyleSheet(), { hides: selector, madeInert: new Set() });
  sheet.replaceSync(`:is(${selector}),:is(${selector}) *{visibility:hidden!important}`);
  return sheet;
}

/** @param {Core} core @returns {Hooks} */
export function hiding(core) {
  const { document } = globalThis;
  if (!document) return {};
  const { wake } = core;
  const selector = toSelector(core.options.hide);
  const sheet = sheetFor(selector);
  const listening = new AbortController();
  const ticking = setInterval(checkAbsence, PACE.tick);
  let lastSeen = Date.now();
  let /** @type {unknown} */ resumed;
  let wasShown = false;
  /** Since the page's last absence. The sheet does not tell, since other clients may share it. */
  let unconfirmed = true;

  /** @param {boolean} hidden */
  function setHidden(hidden, isUnconfirmed = hidden) {
    unconfirmed = isUnconfirmed;
    sheet.disabled = !hidden;
    // An app that sets its own sheets removes this one.
    const { adoptedStyleSheets } = document;
    if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
    const { madeInert } = sheet;
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (
      document.querySelectorAll(selector)
    )) {
      if (!hidden) {
        if (!wasShown) element.hidden = false;
      } else if (!element.inert) {
        element.inert = true;
        madeInert.add(element);
      }
    }
    if (hidden) return;
    wasShown = true;
    for (const element of madeInert) element.inert = false;
    madeInert.clear();
  }

  function reconfirm() {
    setHidden(true);
    wake();
  }

  /** Ticks are late after the computer has slept, and do not count while the page is hidden.
   * @param {() => void} [otherwise] */
  function checkAbsence(otherwise) {
    if (document.visibilityState !== "visible") return;
    const absence = Date.now() - lastSeen;
    lastSeen = Date.now();
    if (absence > 5 * PACE.tick) reconfirm();
    else otherwise?.();
  }

  /** @param {EventTarget} target @param {string} event @param {(event: any) => void} listener */
  const on = (target, event, listener) =>
    target.addEventListener(event, listener, { signal: listening.signal });
  on(document, "visibilitychange", () => checkAbsence(wake));
  on(document, "resume", reconfirm);
  on(globalThis, "online", reconfirm);
  // The back/forward cache keeps the page as it is now.
  on(globalThis, "pagehide", () => setHidden(true));
  on(globalThis, "pageshow", (event) => event.persisted && wake());
  on(document, "freeze", () => {
    setHidden(true);
    resumed = new Promise((resolve) => on(document, "resume", resolve));
  });
  setHidden(true);
  return {
    accepted: () => core.session.logouts || setHidden(false),
    // Content is hidden before the hub answers; if the logout fails, the session is confirmed again.
    logoutStarted: () => core.session.why || setHidden(true, unconfirmed),
    ended: () => setHidden(true),
    /** A frozen page gets messages of other tabs, but its requests continue only when it is resumed. */
    async isReplaced() {
      if (!unconfirmed) return false;
      await resumed;
      return isReplaced(core);
    },
    closed() {
      listening.abort();
      clearInterval(ticking);
    },
  };
}
