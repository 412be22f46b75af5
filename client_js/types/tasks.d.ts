/** Helpers for work that may fail, never end or happen later, and the times of all waits. */
/** In milliseconds. An object, so that tests need not wait as long; no page can reach it. */
export declare const TIMING: {
    accept: number;
    answer: number;
    hook: number;
    poll: number;
    retry: number;
};
/** @param {number} ms a mean, so that many clients do not come at the same moment */
export declare const around: (ms: number) => number;
/** Exponential, with full jitter. @param {number} attempt from 0 @param {number} [chance] 0 to 1 */
export declare const backoffDelay: (attempt: number, chance?: number) => number;
/** Errors in the app's functions are reported, and do not stop the client. The work begins at once.
 * @param {() => unknown} work @param {unknown} [otherwise] the result after a failure
 * @returns {Promise<any>} the result of the work */
export declare function safely(work: () => unknown, otherwise?: unknown): Promise<any>;
/** @template T @param {number} ms @param {() => T | Promise<T>} work @returns {Promise<T>} */
export declare function within<T>(ms: number, work: () => T | Promise<T>): Promise<T>;
/** Calls while the work is in progress share its result. @template T @param {() => Promise<T>} work
 * @returns {() => Promise<T>} */
export declare function shared<T>(work: () => Promise<T>): () => Promise<T>;
/** A timer for one callback; starting it again replaces the callback. */
export declare function createTimer(): {
    start: (ms: number, work: () => unknown) => void;
    stop: () => void;
};
