/**
 * The session: its state, its token, and what ends it. Who says first that it is over is believed.
 *
 * @typedef {object} Options
 * @property {string} [url] the hub's origin; by default the page's own
 * @property {string | (() => string | undefined | Promise<string | undefined>)} [token]
 *   a function is asked at each connect; without a token the hub's cookie is used
 * @property {string[]} [keep] storage keys and cookie names that clearing leaves alone (a hub on the
 *   page's own origin has the browser clear all cookies when a logout had to go by HTTP)
 * @property {string} [loginUrl] where the page goes once `onLogout` has settled
 * @property {(notification: LogoutNotification) => unknown} [onLogout] called once, after clearing
 * @property {string} [device] a name that people read in their list of sessions
 * @property {Storage[]} [storages] what to clear; by default `localStorage` and `sessionStorage`
 * @property {(notification: LogoutNotification) => unknown} [clear]
 *   clears what only the app knows of; has 1.5 s before the hub is told that it failed
 *
 * @typedef {"connecting" | "connected" | "polling" | "disconnected" | "ended" | "closed"} State
 * @typedef {ReturnType<typeof createSession>} Session
 */
/** @import { LogoutNotification, Refusal } from "./frames.js" */
/** @import { Cleared } from "./storage.js" */
import { toNotification } from "./frames.js";
import { createCleaner } from "./storage.js";
import { safely, TIMING, within } from "./tasks.js";

const ENDED = ["token_revoked", "token_expired", "token_too_old"];

/** @param {Options["token"]} token */
function createCredentials(token) {
  let /** @type {string | undefined} */ fresh;
  let /** @type {string | undefined} */ last;
  let /** @type {{used: unknown, done: Promise<boolean>} | undefined} */ renewal;
  const ask = async () => (typeof token === "function" ? within(TIMING.accept, token) : token);

  /** @param {unknown} used @param {string} code */
  async function replace(used, code) {
    // A token of the very second of a logout is dead too: only the next second's is not.
    if (code === "token_too_old") await new Promise((resolve) => setTimeout(resolve, 1000));
    const answer = await ask().catch(() => undefined);
    if (answer !== used) fresh = answer;
    return fresh !== undefined;
  }

  return {
    async next() {
      last = fresh ?? (await ask());
      return last;
    },
    /** The session is over: its last token may still ask what became of it, and no other is. */
    settle() {
      token = fresh = last;
    },
    renewed: () => fresh,
    accepted() {
      fresh = renewal = undefined;
    },
    /** Once until a token is accepted; late refusals of the same token share the outcome.
     * @param {unknown} used @param {string} code */
    async renew(used, code) {
      if (typeof token !== "function" || code === "token_revoked") return false;
      renewal ??= { used, done: replace(used, code) };
      return renewal.used === used && renewal.done;
    },
  };
}

/** @param {Options} options @param {State} state
 * @param {() => void} onHalt called at most once, when nothing more is to be tried */
export function createSession(options, state, onHalt) {
  const credentials = createCredentials(options.token);
  const { wipe, keeping } = createCleaner(options);
  /** @type {Record<string, Set<(value: any) => void>>} */
  const listeners = { state: new Set(), logout: new Set(), error: new Set() };
  let /** @type {Promise<Cleared> | undefined} */ wiping;
  let /** @type {string | undefined} */ ownSid;
  let halted = false;
  const isClosed = () => state === "closed";

  /** @param {string} event @param {unknown} value */
  function emit(event, value) {
    for (const listener of listeners[event]) void safely(() => listener(value));
  }

  /** @param {State} next */
  function setState(next) {
    if (next === state || isClosed()) return;
    state = next;
    emit("state", next);
  }

  function halt() {
    if (!halted) onHalt();
    halted = true;
  }

  /** Every end is answered once all is cleared, but only the first is announced.
   * @param {LogoutNotification} notification @param {(result: Cleared) => void} [answer] */
  async function finish(notification, answer) {
    const first = !wiping;
    halt();
    credentials.settle();
    wiping ??= wipe(notification);
    const result = await wiping;
    void safely(() => answer?.(result));
    if (first) void announce(notification);
  }

  /** @param {LogoutNotification} notification */
  async function announce(notification) {
    setState("ended");
    if (!isClosed()) emit("logout", notification);
    if (!isClosed()) await safely(() => options.onLogout?.(notification));
    if (!isClosed() && options.loginUrl) location.replace(options.loginUrl);
  }

  return {
    credentials,
    keeping,
    finish,
    isClosed,
    isHalted: () => halted,
    state: () => state,
    sid: () => ownSid,

    /** How the link stands, which is of no interest any more once halted. @param {State} next */
    show(next) {
      if (!halted) setState(next);
    },

    /** The hub says that the session is alive. @param {string} [sid] its name, where told */
    accepted(sid = ownSid) {
      ownSid = sid;
      credentials.accepted();
    },

    /** @param {Refusal} refusal @param {unknown} used the token that was refused
     * @returns {Promise<boolean>} whether there is a fresh token to try at once */
    async refused({ code, title, retryable, logout }, used) {
      if (retryable || halted) return false;
      const ended = ENDED.includes(code);
      const renewed = ended && (await credentials.renew(used, code));
      if (renewed || halted) return !halted;
      if (ended) {
        const reason = code === "token_expired" ? "expired" : undefined;
        void finish(toNotification(logout, { reason, sid: ownSid }));
      } else {
        halt();
        setState("disconnected");
        emit("error", { code, title });
      }
      return false;
    },

    /** @param {"state" | "logout" | "error"} event @param {(value: any) => void} listener */
    on(event, listener) {
      listeners[event].add(listener);
      return () => void listeners[event].delete(listener);
    },

    close() {
      halted = true;
      setState("closed");
    },
  };
}
