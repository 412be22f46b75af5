export type Names = import("./revocations.js").Names;
export type Revocation = import("./revocations.js").Revocation;
export type Fact = import("./verdict.js").Fact;
export type Facts = import("./verdict.js").Facts;
export type Identity = import("./verdict.js").Identity;
export type Ending = Pick<Revocation, "scope" | "reason" | "at"> & Partial<Revocation>;
/** @typedef {import("./revocations.js").Names} Names */
/** @typedef {import("./revocations.js").Revocation} Revocation */
/** @typedef {import("./verdict.js").Fact} Fact */
/** @typedef {import("./verdict.js").Facts} Facts */
/** @typedef {import("./verdict.js").Identity} Identity */
/** Why a session ended; `at` is in NumericDate seconds.
 * @typedef {Pick<Revocation, "scope" | "reason" | "at"> & Partial<Revocation>} Ending */
/** The close code of a WebSocket whose session ended. */
export declare const CLOSE_CODE = 4401;
export declare class Watch {
    #private;
    /** @param {() => void} onDone @param {(text: string) => void} log */
    constructor(onDone: () => void, log: (text: string) => void);
    /** Resolves to why the session ended, when it has; or to undefined once `cancel` is called.
     * @returns {Promise<Ending | undefined>} */
    get ended(): Promise<Ending | undefined>;
    /** A signal that is aborted when the session ends, with a HubError `token_revoked`. */
    get signal(): AbortSignal;
    /** Call a function, asynchronous or not, when the session ends, or at once if it has ended. What it
     * throws is logged. @param {(ending: Ending) => unknown} callback */
    onEnd(callback: (ending: Ending) => unknown): void;
    /** Stop watching. */
    cancel: () => void;
    /** Call everything that waits; for the guard's own use. @param {Ending | undefined} ending */
    finish(ending: Ending | undefined): void;
}
export type Entry = {
    watch: Watch;
    names: Names;
    identity: Identity | undefined;
    since: number;
};
/** @typedef {{watch: Watch, names: Names, identity: Identity | undefined, since: number}} Entry */
/** All watches of a guard. `factsOf` returns what is known of a session. */
export declare class Watches {
    #private;
    /** @param {(names: Names) => Facts} factsOf @param {(text: string) => void} log */
    constructor(factsOf: (names: Names) => Facts, log: (text: string) => void);
    /** How many sessions are watched. */
    get size(): number;
    /** Watch a session. If its login time is unknown, `identity` is missing, and any logout written after
     * `since` (the store's time in microseconds) ends it.
     * @param {Names} names @param {number} since @param {Identity} [identity] */
    add(names: Names, since: number, identity?: Identity): Watch;
    /** End the watches whose sessions have ended, for one user or for all.
     * @param {string} [userKey] @param {Revocation} [latest] the logout that has just arrived */
    check(userKey?: string, latest?: Revocation): void;
}
