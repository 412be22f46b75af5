/** Who is logged in by what the app has now, which may be another session than a client's own. */
/** @import { Core } from "./core.js" */
import { failure } from "./requests.js";
import { TIMING, within } from "./tasks.js";

/** Whether the same may be granted another time. @param {number} status */
export const isLater = (status) => status >= 500 || status === 429;

/** Whose a token is, or the cookie. @param {Core} core @param {string} [token] */
export async function askWhose({ requests }, token) {
  const { status, body } = await requests.send("/session", { token });
  if (isLater(status)) throw failure();
  return status === 200 ? body : undefined;
}

/** @param {Core} core */
export async function askPresent(core) {
  const token = await core.session.credentials.ask();
  return { token, now: await askWhose(core, token) };
}

/** Whether that is another session, as far as can be found out in time. Where tokens name no login,
 * the next one is of another session, and says no more than whose it is. @param {Core} core */
export async function isAnother(core) {
  const { sid, user } = core.session;
  if (!sid()) return false;
  const { now } = (await within(TIMING.hook, () => askPresent(core)).catch(() => {})) ?? {};
  return now && now.sid !== sid() && !(now.per_token && now.user === user());
}
