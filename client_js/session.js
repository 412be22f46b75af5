/**
 * The session: its state, its token, and what ends it. Who says first that it is over is believed.
 *
 * @typedef {object} Options
 * @property {string} [url] the hub's origin; by default the page's own
 * @property {string | (() => string | undefined | Promise<string | undefined>)} [token]
 *   a function is asked at each connect and refresh; without a token the hub's cookie is used
 * @property {string[]} [keep] names of storage keys, cookies, databases and caches that clearing
 *   leaves alone
 * @property {LoginUrl} [loginUrl] where the page goes once `onLogout` has settled
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
 *   error: {code: string, title?: string, detail?: string}}} Events
 * @typedef {ReturnType<typeof createSession>} Session
 */
/** @import { Cleared, Profile } from "./clearing.js" */
/** @import { Part } from "./core.js" */
/** @import { LoginUrl } from "./login.js" */
/** @import { LogoutNotification, Refusal } from "./frames.js" */
import { createCleaner } from "./clearing.js";
import { createCredentials } from "./credentials.js";
import { toNotification } from "./frames.js";
import { safely } from "./tasks.js";

/** The codes of what is over: revoked, expired, too old, or to log in anew. */
const ENDED = /_rev|_exp|_too_old|^login/;

/** @param {Options} options @param {Part[]} parts told of each turn
 * @param {() => void} onHalt called at most once, when nothing more is to be tried */
export function createSession(options, parts, onHalt) {
  const credentials = createCredentials(options.token);
  const { wipe, keeping } = createCleaner(options, parts);
  /** @type {Record<string, Set<(value: any) => void>>} */
  const listeners = {};
  let /** @type {State} */ state = "connecting";
  let /** @type {Promise<Cleared> | undefined} */ wiping;
  let /** @type {string | undefined} */ ownSid;
  let /** @type {string | undefined} */ ownUser;
  let halted = false;
  /** How many logouts are under way. */
  let leaving = 0;
  const isClosed = () => state === "closed";

  /** @template {keyof Events} Name @param {Name} event @param {Events[Name]} value */
  function emit(event, value) {
    for (const listener of listeners[event] ?? []) void safely(() => listener(value));
  }

  /** Parts are told of each turn in their order, at once.
   * @param {keyof Part} turn @param {any[]} what
   * @returns {Promise<any>} the first of their answers that is not nothing; who fails has none */
  async function tell(turn, ...what) {
    const answers = parts.map((part) => safely(() => /** @type {any} */ (part)[turn]?.(...what)));
    return (await Promise.all(answers)).find(Boolean);
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
   * @param {LogoutNotification} notification @param {(result: Cleared) => void} [answer]
   * @param {boolean} [taken] whether what tabs share belongs to a newer login; by default it is
   *   found out */
  async function finish(notification, answer, taken) {
    const first = !wiping;
    // Who logs out here is cleared here, whatever session the app would name by now.
    wiping ??= wipe(notification, taken ?? (!leaving && tell("isTaken")));
    halt();
    credentials.settle();
    if (first) void tell("ended", notification, taken);
    const result = await wiping;
    void safely(() => answer?.(result));
    if (first) void announce(notification);
  }

  /** @param {LogoutNotification} notification */
  async function announce(notification) {
    if (isClosed()) return;
    setState("ended");
    emit("logout", notification);
    await safely(() => options.onLogout?.(notification));
    void tell("announced", notification);
  }

  return {
    credentials,
    keeping,
    finish,
    emit,
    tell,
    isClosed,
    isHalted: () => halted,
    isOver: () => wiping,
    state: () => state,
    sid: () => ownSid,
    user: () => ownUser,

    /** A logout is under way: nothing is to prolong the session, or to show it, until it failed. */
    leave() {
      leaving++;
      if (!wiping) void tell("left");
    },
    /** That logout has failed. */
    stay() {
      leaving--;
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
      if (ownUser && user !== ownUser) return void finish({ sid: ownSid }, undefined, true);
      const isNew = sid !== ownSid;
      ownSid = sid;
      ownUser = user;
      credentials.accepted();
      void tell("accepted", isNew);
    },

    /** @param {Refusal} refusal @param {unknown} used the token that was refused
     * @returns {Promise<boolean>} whether there is a fresh token to try at once */
    async refused({ code, title, detail, retryable, logout }, used) {
      if (retryable || halted) return false;
      // Who had a login here and has none now is out, whoever took it away: the app, or its end.
      const gone = code === "token_missing" && ownSid;
      const ended = gone || ENDED.test(code);
      const renewed = ended && (await credentials.renew(used, code));
      if (renewed || halted) return !halted;
      if (ended) {
        const reason = gone || code === "token_expired" ? "expired" : undefined;
        void finish(toNotification(logout, { reason, sid: ownSid }));
      } else {
        halt();
        setState("disconnected");
        emit("error", { code, title, detail });
      }
      return false;
    },

    /** @template {keyof Events} Name @param {Name} event
     * @param {(value: Events[Name]) => void} listener @returns {() => void} stops listening */
    on(event, listener) {
      const set = listeners[event] ?? new Set();
      listeners[event] = set.add(listener);
      return () => void set.delete(listener);
    },

    close() {
      halted = true;
      void tell("closed");
      setState("closed");
    },
  };
}
