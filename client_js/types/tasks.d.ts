/** Work that may fail, may never end, or is to come later; and how long each wait is. */
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
/** The app's own mistakes must not stop us, nor go unseen. The work begins at once.
 * @param {() => unknown} work @param {unknown} [otherwise] what a failure gives
 * @returns {Promise<any>} what the work gives */
export declare function safely(work: () => unknown, otherwise?: unknown): Promise<any>;
/** @template T @param {number} ms @param {() => T | Promise<T>} work @returns {Promise<T>} */
export declare function within<T>(ms: number, work: () => T | Promise<T>): Promise<T>;
/** Who asks while the work is under way shares it. @template T @param {() => Promise<T>} work
 * @returns {() => Promise<T>} */
export declare function shared<T>(work: () => Promise<T>): () => Promise<T>;
/** Does one thing later; starting it anew forgets what it was to do. */
export declare function createTimer(): {
    start: (ms: number, work: () => unknown) => void;
    stop: () => void;
};
