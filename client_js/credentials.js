/** The token that is sent to the hub, and when a newer one is requested from the app. */
/** @import { Options } from "./session.js" */
/** @import { Refusal } from "./frames.js" */
/** @import { SessionState } from "./lifecycle.js" */
import { TIMING, within } from "./tasks.js";

/** @param {Options["token"]} token @param {any} session */
export function createCredentials(token, session) {
  let /** @type {string | undefined} */ fresh;
  let /** @type {string | undefined} */ last;
  let /** @type {{used: unknown, done: Promise<boolean>} | undefined} */ renewal;
  const ask = async () => (typeof token === "function" ? within(TIMING.accept, token) : token);

  /** @param {unknown} used @param {string} code */
  async function askNewer(used, code) {
    // A token from the same second as a logout is refused too; one from the next second is not.
    if (code === "token_too_old") await new Promise((resolve) => setTimeout(resolve, 1000));
    const answer = await ask().catch(() => undefined);
    if (answer !== used) fresh = answer;
    return fresh !== undefined;
  }

  return {
    /** The app's current token. */
    ask,
    async next() {
      const next = session.why ? last : (fresh ?? (await ask()));
      if (!session.why) last = next;
      return last;
    },
    last: () => last,
    renewed: () => fresh,
    accepted() {
      fresh = renewal = undefined;
    },
    /** Renews once until a token is accepted; late refusals of the same token share the result.
     * @param {Refusal} refusal @param {unknown} used */
    async renew(refusal, used) {
      if (typeof token === "function" && refusal.code !== "token_revoked") {
        renewal ??= { used, done: askNewer(used, refusal.code) };
        if (renewal.used === used && (await renewal.done)) return session.live;
      }
      session.dispatch("refused", refusal, used, true);
    },
  };
}
