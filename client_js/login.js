/**
 * Goes to the login page once the app has been notified of the end, but not in a loop: a provider
 * whose own session continues may send the page back at once, with the login that was just ended.
 *
 * @typedef {string | ((notification: LogoutNotification & {reauthenticate: boolean}) =>
 *   string | undefined | Promise<string | undefined>)} LoginUrl a function is given the reason,
 *   and whether people have to authenticate again; without an address the page stays
 */
/** @import { Core, Hooks } from "./core.js" */
/** @import { LogoutNotification } from "./frames.js" */

/** The key in `sessionStorage` of the last redirect of a refused page of this tab, in ms. */
const LED = "logout-hub:led";
const LATELY = 30_000;

/** @param {Core} core @returns {Hooks} */
export function login({ options: { loginUrl }, session }) {
  /** By a newer login, which the provider must not be made to end. */
  let /** @type {boolean | undefined} */ isReplaced;

  /** Whether the previous page of this tab was redirected just now, too. */
  function circles() {
    const last = sessionStorage[LED];
    sessionStorage[LED] = Date.now();
    return Date.now() - last < LATELY;
  }

  return {
    /** Nothing to clear. Before that, it was found out who is logged in. */
    steps({ replaced }) {
      isReplaced = replaced;
      return [];
    },
    async announced(notification) {
      if (!loginUrl || session.status === "closed") return;
      // A page that was accepted, or whose user logs out, is not in a loop.
      if (!session.sid && !session.logouts && circles())
        return session.callHooks("onerror", { code: "login_required", title: "Led back" });
      const { reason, reauthenticate = reason !== "expired" } = notification;
      const address =
        typeof loginUrl === "function"
          ? await loginUrl({ ...notification, reauthenticate: !isReplaced && reauthenticate })
          : loginUrl;
      if (address && /** @type {string} */ (session.status) !== "closed") location.replace(address);
    },
  };
}
