export type OnStale = import("./admission.js").OnStale;
export type Issuer = import("./issuers.js").Issuer;
export type Known = import("./known-tokens.js").Known;
export type Place = import("./revocations.js").Place;
export type Revocation = import("./revocations.js").Revocation;
export type TicketOptions = import("./tickets.js").TicketOptions;
export type Identity = import("./verdict.js").Identity;
export type Reason = import("./verdict.js").Reason;
export type Watch = import("./watches.js").Watch;
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
     * signs tickets; without `issuers` it verifies tokens, too (HS256)
     */
    secret?: string;
    /**
     * an administrator's token of the hub, for `endSession`
     */
    adminToken?: string;
    /**
     * for how long after a confirmation the guard decides alone: 10
     */
    maxStaleness?: number;
    /**
     * what to do then: `"ask"`, the default, asks the hub
     */
    onStale?: OnStale;
    /**
     * for how long `start` waits for the hub: 5
     */
    startTimeout?: number;
    /**
     * called with each measurement
     */
    onMetric?: (name: Metric, value: number) => unknown;
    /**
     * told when the hub cannot be followed, and when it can
     * again; `console.warn` by default
     */
    log?: (text: string) => void;
};
export declare class Guard {
    #private;
    /** @param {string | readonly string[]} url the hub, or several replicas of it
     * @param {Options} options */
    constructor(url: string | readonly string[], options: Options);
    /** A guard with what the environment names, by the names of the hub's settings, unless `options`
     * has it: docs/reference/guard-js.md lists the variables. Throws an Error that names a wrong one.
     * @param {Record<string, string | undefined>} [environ] @param {Partial<Options>} [options] */
    static fromEnviron(environ?: Record<string, string | undefined>, options?: Partial<Options>): Guard;
    /** Begin to follow the hub. Resolves once the guard knows what is revoked, or after `startTimeout`:
     * then it goes on trying, and `onStale` says what to do meanwhile. Whether it is ready is told. */
    start(): Promise<boolean>;
    /** Follow the hub no longer: the guard becomes stale. */
    close(): void;
    /** Whether the guard has heard what is in force. */
    get isReady(): boolean;
    /** For how many seconds there may be logouts that were not heard; Infinity before the first
     * confirmation. */
    get staleness(): number;
    /** How many revocations are in force, and how many sessions are watched. */
    get sizes(): {
        revocations: number;
        watches: number;
    };
    /** The time by the store's clock, in NumericDate seconds: date a login by it. Throws `unavailable`
     * before the first confirmation. */
    now(): number;
    /** Whose token it is, if its session is alive. Rejects with a HubError.
     * @param {string} token @returns {Promise<Identity>} */
    check(token: string): Promise<Identity>;
    /** Check a session of the app's own, which no token is needed for. Rejects with a HubError.
     * @param {string} user @param {string} sid
     * @param {number} loggedInAt by `now`, in NumericDate seconds
     * @param {{issuer?: string}} [options] @returns {Promise<Identity>} */
    checkSession(user: string, sid: string, loggedInAt: number, { issuer }?: {
        issuer?: string;
    }): Promise<Identity>;
    /** Wait for the end of a session. Without `loggedInAt`, whatever ends sessions of this name from
     * now on ends it.
     * @param {string} user @param {string} sid
     * @param {{issuer?: string, loggedInAt?: number}} [options] @returns {Watch} */
    watch(user: string, sid: string, { issuer, loggedInAt }?: {
        issuer?: string;
        loggedInAt?: number;
    }): Watch;
    /** Wait for the end of a session that `check` or `checkSession` has just found alive.
     * @param {Identity} identity @returns {Watch} */
    watchIdentity(identity: Identity): Watch;
    /** Be told of each logout as it is heard. @param {(logout: Revocation) => unknown} tell
     * @returns {() => void} ends that */
    onLogout(tell: (logout: Revocation) => unknown): () => void;
    /** Be told when the guard becomes stale (true), and when it is fresh again (false).
     * @param {(isStale: boolean) => unknown} tell @returns {() => void} ends that */
    onStale(tell: (isStale: boolean) => unknown): () => void;
    /** A short-lived token with which a browser connects to the hub, signed with the secret.
     * @param {string} user @param {string} sid @param {TicketOptions} [options]
     * @returns {Promise<string>} */
    mintTicket(user: string, sid: string, options?: TicketOptions): Promise<string>;
    /** End a session at the hub; resolves to the hub's receipt. It needs `adminToken`. Rejects with a
     * HubError. @param {string} user @param {string} sid
     * @param {{reason?: Reason, issuer?: string, message?: string}} [options] @returns {Promise<any>} */
    endSession(user: string, sid: string, { reason, issuer, message }?: {
        reason?: Reason;
        issuer?: string;
        message?: string;
    }): Promise<any>;
}
export type Subscribers<T> = Set<{
    tell: (value: T) => unknown;
}>;
