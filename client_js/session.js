/**
 * The session: its state, its token, and what ends it. Who says first that it is over is believed.
 *
 * @typedef {object} Options
 * @property {string} [url] the hub's origin; by default the page's own
 * @property {string | (() => string | undefined | Promise<string | undefined>)} [token]
 *   a function is asked at each connect and refresh; without a token the hub's cookie is used
 * @property {string[]} [keep] names of storage keys, cookies, databases and caches that clearing
 *   leaves alone (a hub on the page's own origin has the browser clear all cookies when a logout
 *   had to go by HTTP)
 * @property {string} [loginUrl] where the page goes once `onLogout` has settled
 * @property {(notification: LogoutNotification) => unknown} [onLogout] called once, after clearing
 * @property {string} [device] a name that people read in their list of sessions
 * @property {Storage[]} [storages] clears these and cookies only, not what all of the origin shares
 * @property {(notification: LogoutNotification) => unknown} [clear]
 *   clears what only the app knows of; has 1.5 s before the hub is told that it failed
 * @property {Profile | ((notification: LogoutNotification) => Profile)} [profile] how much is
 *   cleared; by default "lost" when the reason is `suspicious`, else "ordinary"
 * @property {string | Iterable<Element>} [hide] private content, a selector or elements, hidden
 *   until the session is confirmed; by default what has the attribute `data-private`
 *
 * @typedef {"connecting" | "connected" | "polling" | "disconnected" | "ended" | "closed"} State
 * @typedef {{state: State, logout: LogoutNotification, delivered: any,
 *   error: {code: string, title: string}}} Events
 * @typedef {ReturnType<typeof createSession>} Session
 */
/** @import { Cleared, Profile } from "./clearing.js" */
/** @import { LogoutNotification, Refusal } from "./frames.js" */
import { createCleaner } from "./clearing.js";
import { createCurtain } from "./curtain.js";
import { toNotification } from "./frames.js";
import { createTabs } from "./tabs.js";
import { safely, TIMING, within } from "./tasks.js";

const ENDED = ["token_revoked", "token_expired", "token_too_old"];

/** @param {Options["token"]} token */
function createCredentials(token) {
  let /** @type {string | undefined} */ fresh;
  let /** @type {string | undefined} */ last;
  let /** @type {{used: unknown, done: Promise<boolean>} | undefined} */ renewal;
  let settled = false;
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
    canRenew: typeof token === "function",
    isCookie: token === undefined,
    /** What the app has now. */
    ask,
    async next() {
      const next = settled ? last : (fresh ?? (await ask()));
      if (!settled) last = next;
      return last;
    },
    last: () => last,
    renewed: () => fresh,
    accepted() {
      fresh = renewal = undefined;
    },
    /** The session is over: its last token may still ask what became of it, and no other is. */
    settle() {
      settled = true;
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
 * @param {{halt: () => void, wake: () => void, present: () => Promise<{now?: {sid: string}}>}} on
 *   `halt` is called at most once, when nothing more is to be tried; `wake` when the session is to
 *   be confirmed anew */
export function createSession(options, state, on) {
  const credentials = createCredentials(options.token);
  const { wipe, keeping } = createCleaner(options);
  const curtain = createCurtain(options.hide, on.wake);
  const tabs = createTabs(
    () => ownSid,
    (notification) => finish(toNotification(notification)),
  );
  /** @type {Record<string, Set<(value: any) => void>>} */
  const listeners = {};
  let /** @type {Promise<Cleared> | undefined} */ wiping;
  let /** @type {string | undefined} */ ownSid;
  let /** @type {string | undefined} */ ownUser;
  let halted = false;
  let leaving = false;
  const isClosed = () => state === "closed";

  /** @template {keyof Events} Name @param {Name} event @param {Events[Name]} value */
  function emit(event, value) {
    for (const listener of listeners[event] ?? []) void safely(() => listener(value));
  }

  /** @param {State} next */
  function setState(next) {
    if (next === state || isClosed()) return;
    state = next;
    emit("state", next);
  }

  function halt() {
    if (!halted) on.halt();
    halted = true;
  }

  /** To a page that slept, or that a newer login of this browser joined: what tabs share may be its
   * by now. */
  async function isTaken() {
    const mayBe = (await curtain.isDrawn()) || (tabs.hasOther() && !options.storages);
    if (!mayBe || ownSid === undefined) return false;
    const { now } = await within(TIMING.hook, on.present).catch(() => ({ now: undefined }));
    return now !== undefined && now.sid !== ownSid;
  }

  /** Every end is answered once all is cleared, but only the first is announced.
   * @param {LogoutNotification} notification @param {(result: Cleared) => void} [answer]
   * @param {boolean} [taken] */
  async function finish(notification, answer, taken) {
    const first = !wiping;
    wiping ??= Promise.resolve(taken ?? isTaken()).then((is) => wipe(notification, is));
    halt();
    credentials.settle();
    curtain.draw(true);
    if (first && !taken && !isClosed()) tabs.tell(notification);
    tabs.close();
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
    emit,
    isClosed,
    isHalted: () => halted,
    isOver: () => wiping !== undefined,
    state: () => state,
    sid: () => ownSid,
    /** Whose session it is, and by which token. */
    identity: () => ({ session: ownSid, user: ownUser, token: credentials.last() }),

    /** A logout is under way: nothing is to prolong the session until the hub confirms it again. */
    leave() {
      leaving = true;
    },
    isLeaving: () => leaving,

    /** How the link stands, which is of no interest any more once halted. @param {State} next */
    show(next) {
      if (!halted) setState(next);
    },

    /** The hub says that the session is alive. @param {string} [sid] @param {string} [user] whose
     *   it is, where told: by cookie, another person may have logged in meanwhile */
    accepted(sid = ownSid, user = ownUser) {
      if (halted) return;
      if (ownUser !== undefined && user !== ownUser)
        return void finish(toNotification({ sid: ownSid }), undefined, true);
      const isNew = sid !== ownSid;
      ownSid = sid;
      if (isNew) tabs.claim();
      ownUser = user;
      leaving = false;
      credentials.accepted();
      curtain.draw(false);
    },

    /** @param {Refusal} refusal @param {unknown} used the token that was refused
     * @returns {Promise<boolean>} whether there is a fresh token to try at once */
    async refused({ code, title, retryable, logout }, used) {
      if (retryable || halted) return false;
      // Who had a login here and has none now is out, whoever took it away: the app, or its end.
      const gone = code === "token_missing" && ownSid !== undefined;
      const ended = gone || ENDED.includes(code);
      const renewed = ended && (await credentials.renew(used, code));
      if (renewed || halted) return !halted;
      if (ended) {
        const reason = gone || code === "token_expired" ? "expired" : undefined;
        void finish(toNotification(logout, { reason, sid: ownSid }));
      } else {
        halt();
        setState("disconnected");
        emit("error", { code, title });
      }
      return false;
    },

    /** @template {keyof Events} Name @param {Name} event
     * @param {(value: Events[Name]) => void} listener @returns {() => void} stops listening */
    on(event, listener) {
      listeners[event] ??= new Set();
      listeners[event].add(listener);
      return () => void listeners[event].delete(listener);
    },

    close() {
      halted = true;
      curtain.stop();
      tabs.close();
      setState("closed");
    },
  };
}
