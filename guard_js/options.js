/** The options of a guard: what they are, which values are valid, and their defaults. */

/** @typedef {import("./admission.js").OnStale} OnStale */
/** @typedef {import("./issuers.js").Issuer} Issuer */

/** What a guard measures: docs/reference/guard-js.md says what each is.
 * @typedef {"staleness_seconds" | "revocations" | "connects" | "resets" | "ask_seconds" | "asks_failed"} Metric */

/** Times are in seconds.
 * @typedef {object} Options
 * @property {string} token `HUB_GUARD_TOKEN` of the hub
 * @property {readonly Issuer[]} [issuers] whose tokens are accepted
 * @property {string} [secret] signs tickets; without `issuers` it also verifies tokens (HS256)
 * @property {string} [adminToken] `HUB_ADMIN_TOKEN` of the hub, for `endSession`
 * @property {number} [maxStaleness] how long after a confirmation the guard decides by itself: 10
 * @property {OnStale} [onStale] what to do then: `"ask"`, the default, asks the hub
 * @property {number} [startTimeout] how long `start` waits for the hub: 5
 * @property {(name: Metric, value: number) => unknown} [onMetric] called with each measurement
 * @property {(text: string) => void} [log] called when the hub cannot be followed, and when it can
 *   again; `console.warn` by default
 */

/** The options with their defaults; throws an Error that names an invalid one.
 * @param {Options} options */
export function completeOptions(options) {
  const { token, secret, adminToken, onMetric } = options;
  const { maxStaleness = 10, onStale = "ask", startTimeout = 5 } = options;
  const issuers = options.issuers ?? (secret === undefined ? [] : [{ secret }]);
  const { log = (text) => console.warn(`logout-hub-guard: ${text}`) } = options;
  if (!/^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(token ?? ""))
    throw new Error("token: is not the HUB_GUARD_TOKEN of a hub");
  if (!["ask", "refuse", "allow"].includes(onStale))
    throw new Error("onStale: is not one of ask, refuse, allow");
  if (!(maxStaleness > 0 && Number.isFinite(maxStaleness)))
    throw new Error("maxStaleness: must be more than 0 seconds, and finite");
  return { token, issuers, secret, adminToken, maxStaleness, onStale, startTimeout, onMetric, log };
}

/** The addresses of the hub; throws an Error if there is none, or one is not an address.
 * @param {string | readonly string[]} url */
export function readAddresses(url) {
  const urls = typeof url === "string" ? [url] : [...url];
  if (urls.length === 0) throw new Error("url: names no hub");
  for (const one of urls) {
    const { protocol = "", username, search, hash } = URL.canParse(one) ? new URL(one) : {};
    if (!/^https?:$/.test(protocol) || username || search || hash)
      throw new Error(`url: ${one} is no address like https://hub.example`);
  }
  return urls;
}
