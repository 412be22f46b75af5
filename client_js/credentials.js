/** The token that the hub is shown: which one it is, and when a newer one is asked for. */
/** @import { Options } from "./session.js" */
import { TIMING, within } from "./tasks.js";

/** @param {Options["token"]} token */
export function createCredentials(token) {
  let /** @type {string | undefined} */ fresh;
  let /** @type {string | undefined} */ last;
  let /** @type {{used: unknown, done: Promise<boolean>} | undefined} */ renewal;
  let settled = false;
  const ask = async () => (typeof token === "function" ? within(TIMING.accept, token) : token);

  /** @param {unknown} used @param {string} code */
  async function replace(used, code) {
    // A token of the very second of a logout is dead too: only the next second's is not.
    if (code === "token_too_old") await new Promise((resolve) => setTimeout(resolve, 1000));
    const answer = await ask().catch(() => undefined);
    if (answer !== used) fresh = answer;
    return fresh !== undefined;
  }

  return {
    /** What the app has now. */
    ask,
    async next() {
      const next = settled ? last : (fresh ?? (await ask()));
      if (!settled) last = next;
      return last;
    },
    last: () => last,
    renewed: () => fresh,
    accepted() {
      fresh = renewal = undefined;
    },
    /** The session is over: its last token may still ask what became of it, and no other is. */
    settle() {
      settled = true;
    },
    /** Once until a token is accepted; late refusals of the same token share the outcome.
     * @param {unknown} used @param {string} code */
    async renew(used, code) {
      if (typeof token !== "function" || code === "token_revoked") return false;
      renewal ??= { used, done: replace(used, code) };
      return renewal.used === used && renewal.done;
    },
  };
}
