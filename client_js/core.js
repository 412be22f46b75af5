/**
 * The core: when this session ends, it clears what the page stored, acknowledges that to the hub,
 * and notifies the app. Everything else is added by plug-ins.
 *
 * @typedef {{scope?: "all" | "others" | "session", sid?: string, reason?: string,
 *   message?: string}} LogoutOptions
 * @typedef {{ask: (name: string, data: object) => Promise<any>, wake: () => void,
 *   stopped: () => void, ended: () => void, closed: () => void}} Connection to the hub, with hooks as
 *   below. `ask` sends an event and resolves to its answer, or to nothing if none comes;
 *   `wake` confirms the session at once, and connects without delay
 * @typedef {{sid: string, device: string, state: "acknowledged" | "notified" | "cut" | "offline",
 *   failed?: string[]}} Outcome the state of a session, and what its client could not clear
 * @typedef {{id?: string, scope: string, reason?: string, at?: number, message?: string | null,
 *   sessions: Outcome[], complete?: boolean, pending?: boolean}} Receipt `pending` if the logout
 *   has not reached the hub yet
 * @typedef {{sid: string, device: string, ip: string, created_at: number, last_seen_at: number,
 *   expires_at: number, online: boolean, current: boolean}} ListedSession times in s since 1970
 *
 * @typedef {{options: Options, session: Session, requests: Requests, wake: () => void}} Core what a
 *   plug-in is given; `wake` is the connection's, after `connecting`
 * @typedef {object} Hooks the methods of a plug-in; each is optional
 * @property {() => Promise<unknown>} [connecting] resolves to true to have connecting wait until
 *   the plug-in calls `wake`
 * @property {(isNew: boolean) => void} [accepted] the hub says that the session is alive; `isNew`
 *   if it is not the same as before
 * @property {() => void} [logoutStarted] the app has asked to log this session out
 * @property {() => unknown} [isReplaced] whether a newer login has replaced this session in the
 *   browser, which then owns what tabs share
 * @property {(why: LogoutNotification, replaced?: boolean) => void} [ended] the session is over, and
 *   nothing is cleared yet
 * @property {(clearing: Clearing) => Step[]} [steps] more to clear
 * @property {(key: string, command: Command, why: LogoutNotification) =>
 *   Promise<Receipt | undefined>} [queueLogout] the hub cannot be reached: stores the logout for
 *   later, if that is possible, and ends the session
 * @property {() => void} [stopped] the hub has refused the client for good, and it does nothing more
 * @property {(why: LogoutNotification) => void} [announced] the app has been notified of the end
 * @property {() => void} [closed] the app has closed the client
 */
/** @import { Clearing, Step } from "./clearing.js" */
/** @import { LogoutNotification } from "./frames.js" */
/** @import { Command } from "./offline.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Events, Options, Session } from "./session.js" */
import { createConnection } from "./connection.js";
import { toNotification } from "./frames.js";
import { createRequests, failure, postLogout } from "./requests.js";
import { createSession } from "./session.js";
import { TIMING } from "./tasks.js";

/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] @param {((core: Core) => Hooks)[]} [plugins] their hooks are called in
 *   this order
 * @param {(session: Session, requests: Requests, device?: string) => Connection} [connect] */
export function createCore(options = {}, plugins = [], connect = createConnection) {
  /** @type {Set<object>} */
  const hooks = new Set();
  const session = createSession(options, hooks);
  const requests = createRequests(options.url, session);
  for (const plugin of plugins) hooks.add(plugin({ options, session, requests, wake }));
  const connection = connect(session, requests, options.device);
  hooks.add(connection);

  async function wake() {
    if (!(await session.callHooks("connecting")) && session.live) connection.wake();
  }

  /** A logout begun before `close()` is still completed. */
  function assertOpen() {
    if (session.status === "closed") throw failure({ code: "closed", title: "closed" });
  }

  /** Over the socket if possible: the HTTP response makes the browser clear even what `keep` names.
   * @param {LogoutOptions} body @param {string} idempotencyKey */
  async function send(body, idempotencyKey) {
    // Without a network, a socket seems open for a while, but a request fails at once.
    const online = globalThis.navigator?.onLine !== false;
    const asked = online && connection.ask("logout", { ...body, idempotencyKey });
    const { ok, error, ...answer } = (await asked) || {};
    if (ok) return answer;
    // Over HTTP, an expired token is renewed first: it must not prevent a logout.
    if (error && error.code !== "token_expired") throw failure(error);
    return session.restore(() => requests.call("/logout", postLogout(idempotencyKey, body)));
  }

  /** @param {LogoutOptions} [wanted] @returns {Promise<Receipt>} */
  async function logout({ scope = "all", sid, reason, message } = {}) {
    assertOpen();
    if (sid && !session.sid) await requests.check();
    const ownSid = session.sid;
    const own = scope === "all" || (scope === "session" && (sid ?? ownSid) === ownSid);
    const command = { scope, sid, reason, message };
    const why = { ...command, reason: reason ?? "user", sid: ownSid };
    // Not `randomUUID`, which only exists on https pages.
    const key = crypto.getRandomValues(new Uint32Array(5)).join("-");
    if (own) void session.dispatch("logoutStarted");
    try {
      const answer = await send(command, key);
      if (own) await session.dispatch("ended", toNotification(answer, why));
      return answer;
    } catch (error) {
      const { code, problem } = /** @type {any} */ (error);
      if (!own) throw error;
      const queued =
        code === "unavailable" && (await session.callHooks("queueLogout", key, command, why));
      void session.dispatch("logoutFailed");
      void wake();
      if (queued) return queued;
      // The first response was lost, or the same logout came first: the session has ended.
      if (code === "token_revoked" && (scope === "session" || scope === problem?.scope))
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
      return (await requests.call("/sessions")).sessions;
    },

    /** The receipt of a logout. @param {string} id
     * @param {number} [wait] seconds to wait for the receipt to be complete, up to 10
     * @returns {Promise<Receipt>} */
    async receipt(id, wait = 0) {
      assertOpen();
      return requests.call(`/logouts/${encodeURIComponent(id)}?wait=${wait}`, {
        ms: TIMING.accept + wait * 1000,
      });
    },

    /** @template {string & keyof Events} Name @param {Name} event
     * @param {(value: Events[Name]) => void} listener @returns {() => void} stops listening */
    on(event, listener) {
      const hook = { [`on${event}`]: listener };
      hooks.add(hook);
      return () => void hooks.delete(hook);
    },

    get session() {
      return session.sid;
    },
    get state() {
      return session.status;
    },
    close() {
      void session.dispatch("closed");
    },
  };
}
