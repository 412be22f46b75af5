/**
 * The lifecycle of a session, as a pure table: (state, event) -> changes of the state, effects.
 *
 * Theory of operation
 *
 * All decisions about a session are made in this file, without I/O, clock or promises.
 * `session.js` is the shell around it: it dispatches events, applies the changes, and runs the
 * effects in their order.
 *
 *            refused, closed               ended
 *     live ───────────────────> stopped ─────────────┐         cleared
 *       │                                            ├─> ending ─────> ended
 *       └─────────────────── ended ──────────────────┘
 *
 *     live     `live`: the client maintains a connection, whatever its status.
 *     stopped  Not `live`, and no `why`: the hub has refused the client for good, or the app has
 *              closed it. Stored data is left alone, but an end that comes to light still clears it.
 *     ending   `why` is set: the session is over and is being cleared. The app does not know yet.
 *     ended    `status` is "ended": everything is cleared, and the app is notified.
 *
 * There is no way back. The first report that the session is over starts the clearing; later ones
 * only wait for it, to confirm it.
 *
 * Independently, the app may close the client at any time: `status` is then "closed" for good, and
 * the app is not notified any more. A session that ends afterwards is cleared, but not announced.
 * Until then, `status`, which the app sees, follows the connection while the session is live.
 *
 * A refused token does not end the session yet. The effect `renew` asks the app for a newer one;
 * if there is none, the same refusal comes again, marked as final.
 *
 * A logout by the app does not end it either, until the hub has accepted it. Between `logoutStarted`
 * and `logoutFailed` or `ended` the session is live, and `logouts` counts the logouts in progress.
 *
 * An effect is a call of a hook, by its name, in everything that takes part: the shell (`clear`,
 * `announce`), the credentials (`renew`), the connection, the plug-ins (see `Hooks` in `core.js`)
 * and the app's listeners (`onerror`). The shell itself tells listeners of a changed `status`.
 */
/** @import { Cleared } from "./clearing.js" */
/** @import { Hooks } from "./core.js" */
/** @import { LogoutNotification, Refusal } from "./frames.js" */
import { toNotification } from "./frames.js";

/** @typedef {"connecting" | "connected" | "polling" | "disconnected" | "ended" | "closed"} Status */
/** @typedef {object} SessionState
 * @property {boolean} live
 * @property {Status} status
 * @property {number} logouts the number of logouts of this session in progress
 * @property {string} [sid] the session's id, once the hub has sent it
 * @property {string} [user] whose session it is, once the hub has sent it
 * @property {LogoutNotification} [why] why the session is over
 */
/** @typedef {["clear", why: LogoutNotification, answer?: (result: Cleared) => void,
 *     replaced?: boolean]
 *   | ["announce", why?: LogoutNotification]
 *   | ["renew", refusal: Refusal, used: unknown]
 *   | ["onerror", error: {code: string, title?: string, detail?: string}]
 *   | [hook: keyof Hooks, ...args: any[]]} Effect */
/** @typedef {[changes: Partial<SessionState>, ...Effect[]]} Step */
/** @typedef {typeof TRANSITIONS} Transitions */

/** @type {SessionState} */
export const START = { live: true, status: "connecting", logouts: 0 };

/** The codes of refusals that end a session: revoked, expired, too old, or to log in anew. */
const ENDING = /_rev|_exp|_too_old|^login/;

/** By event. An event that comes too late has no effect. */
export const TRANSITIONS = {
  /** The connection has another status.
   * @param {SessionState} state @param {Status} status @returns {Step | false} */
  status: ({ live }, status) => live && [{ status }],

  /** The hub has confirmed that the session is alive, and may have said whose it is.
   * @param {SessionState} state @param {string} [told] its id @param {string} [user]
   * @returns {Step | undefined} */
  accepted(state, told = state.sid, user = state.user) {
    if (!state.live) return;
    // Another person has logged in by cookie. All that is known of this end is its `sid`.
    if (state.user && user !== state.user)
      return TRANSITIONS.ended(state, toNotification(state), undefined, true);
    // Until it is settled, a logout is of the session that it was begun in.
    const sid = (state.logouts && state.sid) || told;
    return [{ sid, user }, ["accepted", sid !== state.sid]];
  },

  /** The hub has refused the session.
   * @param {SessionState} state @param {Refusal} refusal @param {unknown} used the refused token
   * @param {boolean} [isFinal] there is no newer token @returns {Step | undefined} */
  refused(state, refusal, used, isFinal) {
    const { code, title, detail } = refusal;
    const { sid } = state;
    if (!state.live || refusal.retryable) return;
    // A session whose token or cookie is missing now is over: the app removed it, or it expired.
    if (!ENDING.test(code) && !(sid && /_mis/.test(code)))
      return [
        { live: false, status: "disconnected" },
        ["stopped"],
        ["onerror", { code, title, detail }],
      ];
    if (!isFinal) return [{}, ["renew", refusal, used]];
    const reason = /_exp|_mis/.test(code) ? "expired" : undefined;
    return TRANSITIONS.ended(state, toNotification(refusal.logout, { reason, sid }));
  },

  /** The app logs this session out: from now on nothing prolongs it or shows private content.
   * @param {SessionState} state @returns {Step} */
  logoutStarted: ({ logouts }) => [{ logouts: logouts + 1 }, ["logoutStarted"]],

  /** The hub did not grant that logout, or could not be reached.
   * @param {SessionState} state @returns {Step} */
  logoutFailed: ({ logouts }) => [{ logouts: logouts - 1 }],

  /** The session is over.
   * @param {SessionState} state @param {LogoutNotification} why
   * @param {(result: Cleared) => void} [answer] called when it is cleared
   * @param {boolean} [replaced] whether a newer login has replaced it in this browser. By default
   *   that is asked; but a logout of the app clears here, whatever session its token is of by now
   * @returns {Step} */
  ended(state, why, answer, replaced = state.logouts ? false : undefined) {
    if (state.why) return [{}, ["clear", why, answer]];
    return [{ live: false, why }, ["clear", why, answer, replaced], ["ended", why, replaced]];
  },

  /** Everything that can be cleared is cleared.
   * @param {SessionState} state @returns {Step | false | undefined} */
  cleared: ({ status, why }) =>
    why && status !== "ended" && status !== "closed" && [{ status: "ended" }, ["announce", why]],

  /** The app has closed the client. @returns {Step} */
  closed: () => [{ live: false, status: "closed" }, ["closed"]],
};

/** The arguments of an event.
 * @template {keyof Transitions} Name
 * @typedef {Parameters<Transitions[Name]> extends [any, ...infer Rest] ? Rest : []} Details */
