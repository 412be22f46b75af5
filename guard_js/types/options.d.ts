/** The options of a guard: what they are, which values are valid, and their defaults. */
export type OnStale = import("./admission.js").OnStale;
export type Issuer = import("./issuers.js").Issuer;
export type Metric = "staleness_seconds" | "revocations" | "connects" | "resets" | "ask_seconds" | "asks_failed";
export type Options = {
    /**
     * `HUB_GUARD_TOKEN` of the hub
     */
    token: string;
    /**
     * whose tokens are accepted
     */
    issuers?: readonly Issuer[];
    /**
     * signs tickets; without `issuers` it also verifies tokens (HS256)
     */
    secret?: string;
    /**
     * `HUB_ADMIN_TOKEN` of the hub, for `endSession`
     */
    adminToken?: string;
    /**
     * how long after a confirmation the guard decides by itself: 10
     */
    maxStaleness?: number;
    /**
     * what to do then: `"ask"`, the default, asks the hub
     */
    onStale?: OnStale;
    /**
     * how long `start` waits for the hub: 5
     */
    startTimeout?: number;
    /**
     * called with each measurement
     */
    onMetric?: (name: Metric, value: number) => unknown;
    /**
     * called when the hub cannot be followed, and when it can
     * again; `console.warn` by default
     */
    log?: (text: string) => void;
};
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
export declare function completeOptions(options: Options): {
    token: string;
    issuers: readonly import("./issuers.js").Issuer[];
    secret: string | undefined;
    adminToken: string | undefined;
    maxStaleness: number;
    onStale: import("./admission.js").OnStale;
    startTimeout: number;
    onMetric: ((name: Metric, value: number) => unknown) | undefined;
    log: (text: string) => void;
};
/** The addresses of the hub; throws an Error if there is none, or one is not an address.
 * @param {string | readonly string[]} url */
export declare function readAddresses(url: string | readonly string[]): string[];
