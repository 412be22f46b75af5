/** Hides private content until the hub has confirmed the session, and after an absence once more. */
/** @import { Core, Part } from "./core.js" */
import { isAnother } from "./present.js";

/** @typedef {CSSStyleSheet & {hides: string, stilled: Set<HTMLElement>}} Sheet `stilled` is what it
 *   made inert, and not the app */

/** In milliseconds: how often the clock is looked at; five times that is an absence. An object, as
 * TIMING. */
export const PACE = { tick: 2_000 };

const MARK = "data-private";

/** @param {string | Iterable<Element>} [hide] elements are given the mark @returns {string} */
function toSelector(hide = `[${MARK}]`) {
  if (typeof hide === "string") return hide;
  for (const element of hide) element.setAttribute(MARK, "");
  return `[${MARK}]`;
}

/** A sheet also covers what the app adds later, and no content policy forbids it. It outlives the
 * client: a page that logs in anew without loading anew has one curtain, which its next client opens.
 * @param {string} selector @returns {Sheet} */
function sheetFor(selector) {
  const adopted = /** @type {Sheet[]} */ (document.adoptedStyleSheets);
  const known = adopted.find(({ hides }) => hides === selector);
  if (known) return known;
  const sheet = Object.assign(new CSSStyleSheet(), { hides: selector, stilled: new Set() });
  sheet.replaceSync(`:is(${selector}),:is(${selector}) *{visibility:hidden!important}`);
  return sheet;
}

/** @param {Core} core @returns {Part} */
export function curtain(core) {
  const { document } = globalThis;
  if (!document) return {};
  const { wake } = core;
  const selector = toSelector(core.options.hide);
  const sheet = sheetFor(selector);
  const off = new AbortController();
  const ticking = setInterval(look, PACE.tick);
  let seen = Date.now();
  let /** @type {unknown} */ awake;
  let opened = false;
  /** Not confirmed since the page was last away: not the sheet's word, which others may share. */
  let away = true;

  /** @param {boolean} closed */
  function draw(closed, isAway = closed) {
    away = isAway;
    sheet.disabled = !closed;
    // An app that sets its own sheets takes this one away.
    const { adoptedStyleSheets } = document;
    if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
    const { stilled } = sheet;
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (
      document.querySelectorAll(selector)
    )) {
      if (closed && !element.inert) stilled.add(element);
      if (closed) element.inert = true;
      else if (!opened) element.hidden = false;
    }
    if (closed) return;
    opened = true;
    for (const element of stilled) element.inert = false;
    stilled.clear();
  }

  function back() {
    draw(true);
    wake();
  }

  /** Ticks come late when the computer slept, and do not count while nobody looks.
   * @param {() => void} [otherwise] */
  function look(otherwise) {
    if (document.visibilityState !== "visible") return;
    const absence = Date.now() - seen;
    seen = Date.now();
    if (absence > 5 * PACE.tick) back();
    else otherwise?.();
  }

  /** @param {EventTarget} target @param {string} event @param {(event: any) => void} listener */
  const on = (target, event, listener) =>
    target.addEventListener(event, listener, { signal: off.signal });
  on(document, "visibilitychange", () => look(wake));
  on(document, "resume", back);
  on(globalThis, "online", back);
  // The back/forward cache keeps the page as it is now.
  on(globalThis, "pagehide", () => draw(true));
  on(globalThis, "pageshow", (event) => event.persisted && wake());
  on(document, "freeze", () => {
    draw(true);
    awake = new Promise((resolve) => on(document, "resume", resolve));
  });
  draw(true);
  return {
    accepted: () => core.session.isLeaving() || draw(false),
    // Whoever logs out is not to wait for the network; a logout that fails has the hub asked anew.
    left: () => draw(true, away),
    ended: () => draw(true),
    /** A frozen page hears its tabs, but what it begins ends when it wakes, maybe a day later. */
    async isTaken() {
      const was = away;
      await awake;
      return was && isAnother(core);
    },
    closed() {
      off.abort();
      clearInterval(ticking);
    },
  };
}
