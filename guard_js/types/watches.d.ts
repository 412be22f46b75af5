export type Place = import("./revocations.js").Place;
export type Revocation = import("./revocations.js").Revocation;
export type Fact = import("./verdict.js").Fact;
export type Facts = import("./verdict.js").Facts;
export type Identity = import("./verdict.js").Identity;
export type Ending = Pick<Revocation, "scope" | "reason" | "at"> & Partial<Revocation>;
/** @typedef {import("./revocations.js").Place} Place */
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
    /** Resolves when the session has ended, with why; or with undefined once `cancel` is called.
     * @returns {Promise<Ending | undefined>} */
    get ended(): Promise<Ending | undefined>;
    /** Is aborted when the session ends, by a HubError with the code `token_revoked`. */
    get signal(): AbortSignal;
    /** Call a function, asynchronous or not, when the session ends, at once if it has; what it throws
     * is logged. @param {(ending: Ending) => unknown} tell */
    onEnd(tell: (ending: Ending) => unknown): void;
    /** Wait no longer. */
    cancel: () => void;
    /** Tell everybody who waits; for the guard. @param {Ending | undefined} ending */
    finish(ending: Ending | undefined): void;
}
export type Entry = {
    watch: Watch;
    place: Place;
    identity: Identity | undefined;
    since: number;
};
/** @typedef {{watch: Watch, place: Place, identity: Identity | undefined, since: number}} Entry */
/** All watches of a guard. `factsOf` gives what is known of a session. */
export declare class Watches {
    #private;
    /** @param {(place: Place) => Facts} factsOf @param {(text: string) => void} log */
    constructor(factsOf: (place: Place) => Facts, log: (text: string) => void);
    /** How many sessions are watched. */
    get size(): number;
    /** Watch a session. If it is not known when it began, `identity` is missing: whatever ends sessions
     * after `since`, in microseconds of the store, ends this one.
     * @param {Place} place @param {number} since @param {Identity} [identity] */
    add(place: Place, since: number, identity?: Identity): Watch;
    /** End the watches whose sessions have ended: those of one user, or all.
     * @param {string} [userKey] @param {Revocation} [told] the logout that was just heard */
    check(userKey?: string, told?: Revocation): void;
}
