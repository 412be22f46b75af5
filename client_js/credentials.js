/** The token that is sent to the hub, and when a newer one is requested from the app. */
/** @import { Options } from "./session.js" */
/** @import { Refusal } from "./frames.js" */
/** @import { SessionState } from "./lifecycle.js" */
import { TIMING, within } from "./tasks.js";

/** @typedef {[refusal: Refusal, used: unknown] | undefined} Refused how, and which token */

/** @param {Options["token"]} token @param {any} session */
export function createCredentials(token, session) {
  let /** @type {string | undefined} */ last;
  /** Waits for a newer token. */
  let /** @type {Refused} */ refused;
  /** Has got one, which this attempt is made with. */
  let /** @type {Refused} */ renewed;
  const isAsked = typeof token === "function";
  const ask = async () => (isAsked ? within(TIMING.accept, token) : token);

  return {
    /** The app's current token. */
    ask,
    /** The token for an attempt to connect, or for a request. Each asks the app, since a token that
     * was newer for an earlier attempt may have ended, too. */
    async next() {
      const own = refused;
      renewed = own;
      refused = undefined;
      const next = session.why ? last : await ask();
      if (own && (next ?? own[1]) === own[1]) session.dispatch("refused", ...own, true);
      if (!session.why) last = next;
      return last;
    },
    last: () => last,
    accepted() {
      refused = renewed = undefined;
    },
    /** Renews once for each attempt. @param {Refusal} refusal @param {unknown} used */
    async renew(refusal, used) {
      const { code } = refusal;
      if (!isAsked || code === "token_revoked" || (renewed && renewed[1] !== used))
        return void session.dispatch("refused", refusal, used, true);
      // A token from the same second as a logout is refused too; one from the next second is not.
      if (code === "token_too_old") await new Promise((resolve) => setTimeout(resolve, 1000));
      refused = [refusal, used];
      return true;
    },
  };
}
