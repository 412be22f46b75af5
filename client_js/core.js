/**
 * The core: it learns that this session was ended, clears what the page stored, tells the hub so,
 * then tells the app. What else a client can do is parts beside it.
 *
 * @typedef {{scope?: "all" | "others" | "session", sid?: string, reason?: string,
 *   message?: string}} LogoutOptions
 * @typedef {{ask: (name: string, data: object) => Promise<any>, wake: () => void, halt: () => void,
 *   close: () => void}} Link what carries a session: `ask` gives nothing when it cannot, `halt` is
 *   called when the session is over, `close` lets go at once
 * @typedef {{sid: string, device: string, state: "acknowledged" | "notified" | "cut" | "offline",
 *   failed?: string[]}} Outcome what became of a session, and what its client could not clear
 * @typedef {{id?: string, scope: string, reason?: string, at?: number, message?: string | null,
 *   sessions: Outcome[], complete?: boolean, pending?: boolean}} Receipt `pending` when the hub has
 *   not heard of the logout yet
 * @typedef {{sid: string, device: string, ip: string, created_at: number, last_seen_at: number,
 *   expires_at: number, online: boolean, current: boolean}} ListedSession times in s since 1970
 *
 * @typedef {{options: Options, session: Session, requests: Requests, wake: () => void}} Core what a
 *   part is given; `wake` has the session confirmed anew
 * @typedef {object} Part what a client does beside; all of it is optional
 * @property {() => Promise<unknown>} [holds] whether connecting has to wait, for a `wake` to come
 * @property {(isNew: boolean) => void} [accepted] the hub says that the session is alive
 * @property {() => void} [left] the app has asked to log this session out
 * @property {() => unknown} [isTaken] whether what tabs share belongs to a newer login by now
 * @property {(notification: LogoutNotification, taken?: boolean) => void} [ended] before clearing
 * @property {(clearing: Clearing) => Step[]} [steps] more to clear
 * @property {(key: string, command: Command, why: LogoutNotification) =>
 *   Promise<Receipt | undefined>} [keep] keeps a logout that the hub cannot be told of, if it can,
 *   and ends the session
 * @property {(notification: LogoutNotification) => void} [announced] the app has been told of the end
 * @property {() => void} [closed] by the app
 */
/** @import { Clearing, Step } from "./clearing.js" */
/** @import { LogoutNotification } from "./frames.js" */
/** @import { Command } from "./offline.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Options, Session } from "./session.js" */
import { createConnection } from "./connection.js";
import { toNotification } from "./frames.js";
import { createRequests, failure, postLogout } from "./requests.js";
import { createSession } from "./session.js";
import { TIMING } from "./tasks.js";

/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] @param {((core: Core) => Part)[]} [uses] parts, in the order in which
 *   they are told
 * @param {(session: Session, requests: Requests, device?: string) => Link} [linkFor] */
export function createCore(options = {}, uses = [], linkFor = createConnection) {
  /** @type {Part[]} */
  const parts = [];
  const session = createSession(options, parts, () => link.halt());
  const requests = createRequests(options.url, session);
  const { call } = requests;
  for (const use of uses) parts.push(use({ options, session, requests, wake }));
  const link = linkFor(session, requests, options.device);

  async function wake() {
    if (!(await session.tell("holds")) && !session.isHalted()) link.wake();
  }

  /** What was begun before `close()` is still finished. */
  function assertOpen() {
    if (session.isClosed()) throw failure({ code: "closed", title: "closed" });
  }

  /** By the socket if it can be: the HTTP answer makes the browser clear what was to be kept.
   * @param {LogoutOptions} body @param {string} idempotencyKey */
  async function send(body, idempotencyKey) {
    // A socket that lost its network seems open for a while: a request fails at once.
    const online = globalThis.navigator?.onLine !== false;
    const asked = online && link.ask("logout", { ...body, idempotencyKey }).catch(() => {});
    const { ok, error, ...answer } = (await asked) || {};
    if (ok) return answer;
    // By HTTP a newer token is asked for: who logs out is not to stay because the old one ended.
    if (error && error.code !== "token_expired") throw failure(error);
    return session.keeping(() => call("/logout", postLogout(idempotencyKey, body)));
  }

  /** @param {LogoutOptions} [wanted] @returns {Promise<Receipt>} */
  async function logout({ scope = "all", sid, reason, message } = {}) {
    assertOpen();
    if (sid && !session.sid()) await requests.check();
    const ownSid = session.sid();
    const own = scope === "all" || (scope === "session" && (sid ?? ownSid) === ownSid);
    const command = { scope, sid, reason, message };
    const why = { ...command, reason: reason ?? "user", sid: ownSid };
    // Not `randomUUID`, which exists on https pages only.
    const key = crypto.getRandomValues(new Uint32Array(5)).join("-");
    if (own) session.leave();
    try {
      const answer = await send(command, key);
      if (own) await session.finish(toNotification(answer, why));
      return answer;
    } catch (error) {
      const { code, problem } = /** @type {any} */ (error);
      if (!own) throw error;
      const kept = code === "unavailable" && (await session.tell("keep", key, command, why));
      session.stay();
      void wake();
      if (kept) return kept;
      // The answer was lost, or a twin was faster: the session is over in the very way asked for.
      if (code === "token_revoked" && ["session", problem?.scope].includes(scope))
        return { id: problem?.id, scope, sessions: [] };
      throw error;
    }
  }

  void wake();
  return {
    /** Ends sessions, by default all. */
    logout,

    /** Ends one of the user's sessions. @param {string} sid */
    end: (sid) => logout({ scope: "session", sid }),

    /** @returns {Promise<ListedSession[]>} */
    async sessions() {
      assertOpen();
      return (await call("/sessions")).sessions;
    },

    /** What became of a logout. @param {string} id
     * @param {number} [wait] seconds, up to 10, in which the last word may still come
     * @returns {Promise<Receipt>} */
    async receipt(id, wait = 0) {
      assertOpen();
      const ms = TIMING.accept + wait * 1000;
      return call(`/logouts/${encodeURIComponent(id)}?wait=${wait}`, { ms });
    },

    on: session.on,
    get session() {
      return session.sid();
    },
    get state() {
      return session.state();
    },
    close() {
      session.close();
      link.close();
    },
  };
}
