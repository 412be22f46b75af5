export type Known = import("./known-tokens.js").Known;
export type Metric = import("./options.js").Metric;
export type Options = import("./options.js").Options;
export type Names = import("./revocations.js").Names;
export type Revocation = import("./revocations.js").Revocation;
export type TicketOptions = import("./tickets.js").TicketOptions;
export type Identity = import("./verdict.js").Identity;
export type Reason = import("./verdict.js").Reason;
export type Watch = import("./watches.js").Watch;
export declare class Guard {
    #private;
    /** @param {string | readonly string[]} url the hub, or several replicas of it
     * @param {Options} options */
    constructor(url: string | readonly string[], options: Options);
    /** A guard configured by the environment; `options` override or add to it.
     * docs/reference/guard-js.md lists the variables. Throws an Error that names an invalid one.
     * @param {Record<string, string | undefined>} [environ] @param {Partial<Options>} [options] */
    static fromEnviron(environ?: Record<string, string | undefined>, options?: Partial<Options>): Guard;
    /** Start following the hub. Resolves to true once the guard knows what is revoked, or to false after
     * `startTimeout`: then it keeps trying, and `onStale` says what to do in the meantime. */
    start(): Promise<boolean>;
    /** Stop following the hub: the guard becomes stale. */
    close(): void;
    /** Whether the guard knows which revocations are in force. */
    get isReady(): boolean;
    /** How many seconds old the guard's knowledge is; Infinity before the first confirmation. */
    get staleness(): number;
    /** How many revocations are in force, and how many sessions are watched. */
    get sizes(): {
        revocations: number;
        watches: number;
    };
    /** The store's time, in NumericDate seconds: record it as the time of a login. Throws `unavailable`
     * before the first confirmation. */
    now(): number;
    /** The identity of a token, if its session is alive. Rejects with a HubError.
     * @param {string} token @returns {Promise<Identity>} */
    check(token: string): Promise<Identity>;
    /** The identity of an app's own session, without a token, if it is alive. Rejects with a HubError.
     * @param {string} user @param {string} sid
     * @param {number} loggedInAt by `now`, in NumericDate seconds
     * @param {{issuer?: string}} [options] @returns {Promise<Identity>} */
    checkSession(user: string, sid: string, loggedInAt: number, { issuer }?: {
        issuer?: string;
    }): Promise<Identity>;
    /** Watch a session, to learn when it ends. Without `loggedInAt`, any logout of this session id from
     * now on ends it.
     * @param {string} user @param {string} sid
     * @param {{issuer?: string, loggedInAt?: number}} [options] @returns {Watch} */
    watch(user: string, sid: string, { issuer, loggedInAt }?: {
        issuer?: string;
        loggedInAt?: number;
    }): Watch;
    /** Watch a session that `check` or `checkSession` has just found alive.
     * @param {Identity} identity @returns {Watch} */
    watchIdentity(identity: Identity): Watch;
    /** Call a function with each logout from `isReady` on, at least once. What was missed arrives as soon
     * as the hub sends it, maybe without its id and texts, and several logouts of one user as the one
     * that includes the others.
     * @param {(logout: Revocation) => unknown} callback @returns {() => void} unsubscribes */
    onLogout(callback: (logout: Revocation) => unknown): () => void;
    /** Call a function with true when the guard becomes stale, with false when it is fresh again.
     * @param {(isStale: boolean) => unknown} callback @returns {() => void} unsubscribes */
    onStale(callback: (isStale: boolean) => unknown): () => void;
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
