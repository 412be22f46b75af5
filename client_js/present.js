/** Who is logged in by what the app has now, which may be another session than a client's own. */
/** @import { Core } from "./core.js" */
import { failure } from "./requests.js";
import { TIMING, within } from "./tasks.js";

/** Whether the same may be granted another time. @param {number} status */
export const isLater = (status) => status >= 500 || status === 429;

/** @param {Core} core */
export async function askPresent({ session, requests }) {
  const token = await session.credentials.ask();
  const { status, body } = await requests.send("/session", { token });
  if (isLater(status)) throw failure();
  return { token, now: status === 200 ? body : undefined };
}

/** Whether that is another session, as far as can be found out in time. @param {Core} core */
export async function isAnother(core) {
  const sid = core.session.sid();
  if (sid === undefined) return false;
  const { now } = await within(TIMING.hook, () => askPresent(core)).catch(() => ({
    now: undefined,
  }));
  return now !== undefined && now.sid !== sid;
}
