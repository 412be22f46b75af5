/** Who is logged in with the app's current token or cookie, which may no longer be the client's own
 * session. */
/** @import { Core } from "./core.js" */
import { failure } from "./requests.js";
import { TIMING, within } from "./tasks.js";

/** Whether the hub may grant the same request later. @param {number} status */
export const isTransient = (status) => status >= 500 || status === 429;

/** @param {Core} core @param {string} [token] left out: the cookie
 * @returns {Promise<any>} the body of `GET /session`; undefined if there is no live session */
export async function fetchSession({ requests }, token) {
  const { status, body } = await requests.send("/session", { token });
  if (isTransient(status)) throw failure();
  return status === 200 ? body : undefined;
}

/** @param {Core} core */
export async function fetchLogin(core) {
  const token = await core.session.credentials.ask();
  return { token, login: await fetchSession(core, token) };
}

/** Whether another session has replaced this one, if the hub answers in time. If tokens do not
 * identify their login, each is a session of its own: then only another user counts as another.
 * @param {Core} core */
export async function isReplaced(core) {
  const { sid, user } = core.session;
  if (!sid) return false;
  const { login } = (await within(TIMING.hook, () => fetchLogin(core)).catch(() => {})) ?? {};
  return login && login.sid !== sid && !(login.per_token && login.user === user);
}
