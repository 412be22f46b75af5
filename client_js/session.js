/**
 * A session in a page: the shell around its lifecycle, which holds the state and runs the effects.
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
 *   clears what only the app knows about; has 1.5 s, after which it counts as failed
 * @property {Profile | ((notification: LogoutNotification) => Profile)} [profile] how much is
 *   cleared; by default "lost" when the reason is `suspicious`, else "ordinary"
 * @property {string | Iterable<Element>} [hide] private content, a selector or elements, hidden
 *   until the session is confirmed; by default what has the attribute `data-private`
 *
 * @typedef {{state: Status, logout: LogoutNotification, delivered: any,
 *   error: {code: string, title?: string, detail?: string}}} Events
 * @typedef {ReturnType<typeof createSession>} Session
 */
/** @import { Cleared, Profile } from "./clearing.js" */
/** @import { Details, Status, Transitions } from "./lifecycle.js" */
/** @import { LoginUrl } from "./login.js" */
/** @import { LogoutNotification } from "./frames.js" */
import { createCleaner } from "./clearing.js";
import { createCredentials } from "./credentials.js";
import { START, TRANSITIONS } from "./lifecycle.js";
import { safely } from "./tasks.js";

/** @param {Options} options
 * @param {Set<object>} hooks objects whose methods are the hooks, in the order of calling */
export function createSession(options, hooks) {
  const { clear, restore } = createCleaner(options, hooks);
  let /** @type {Promise<Cleared>} */ clearing;

  /** Calls a hook, at once, in everything that has it. @param {string} name @param {any[]} args
   * @returns {Promise<any>} the first result that is truthy; a hook that throws is reported only */
  async function callHooks(name, ...args) {
    const results = [...hooks].map((each) =>
      safely(() => /** @type {any} */ (each)[name]?.(...args)),
    );
    return (await Promise.all(results)).find(Boolean);
  }

  /** @template {keyof Transitions} Name @param {Name} event @param {Details<Name>} details
   * @returns {Promise<any> | undefined} the result of the first effect */
  function dispatch(event, ...details) {
    const { status } = session;
    const [changes, ...effects] =
      /** @type {any} */ (TRANSITIONS)[event](session, ...details) || [];
    Object.assign(session, changes);
    if (session.status !== status) void callHooks("onstate", session.status);
    return effects.map((/** @type {[string]} */ effect) => callHooks(...effect))[0];
  }

  const session = { ...START, restore, dispatch, callHooks };
  const credentials = createCredentials(options.token, session);
  hooks.add(credentials).add({
    /** Clears once, however often it is called. @param {LogoutNotification} why
     * @param {(result: Cleared) => void} [answer] @param {boolean} [replaced] */
    async clear(why, answer, replaced) {
      clearing ??= clear(why, replaced ?? callHooks("isReplaced"));
      const result = await clearing;
      void safely(() => answer?.(result));
      void dispatch("cleared");
    },

    /** @param {LogoutNotification} why */
    async announce(why) {
      void callHooks("onlogout", why);
      await safely(() => options.onLogout?.(why));
      void callHooks("announced", why);
    },
  });
  return Object.assign(session, { credentials });
}
