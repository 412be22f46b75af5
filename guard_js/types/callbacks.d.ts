/** How many calls of one asynchronous function are in progress at the same time. */
export declare const MAX_UNFINISHED = 100;
/** How many calls that are due are worth a line in the log. */
export declare const MANY_WAITING = 100000;
/** Call a function of the app: what it throws, or rejects with, is logged, and harms nothing else.
 * Returns a promise of its end if it is asynchronous.
 * @template T @param {(text: string) => void} log @param {(value: T) => unknown} call
 * @param {T} value @returns {Promise<unknown> | undefined} */
export declare function callSafely<T>(log: (text: string) => void, call: (value: T) => unknown, value: T): Promise<unknown> | undefined;
/** Calls a function of the app with each value that is added, in their order: at once, or later if
 * there are more than a few in this turn of the event loop, or too many calls that are asynchronous have
 * not finished. Values that wait are packed.
 * @template T */
export declare class Calls<T> {
    #private;
    /** @param {(text: string) => void} log @param {(value: T) => unknown} call */
    constructor(log: (text: string) => void, call: (value: T) => unknown);
    /** How many calls are due. */
    get waiting(): number;
    /** Have the function called. @param {T} value */
    add(value: T): void;
    /** Call it no more, not even with what waits. */
    stop(): void;
}
/** The functions of the app that are called with each value of one kind.
 * @template T */
export declare class Subscribers<T> {
    #private;
    /** @param {(text: string) => void} log */
    constructor(log: (text: string) => void);
    /** Have a function called from now on.
     * @param {(value: T) => unknown} callback @returns {() => void} unsubscribes */
    add(callback: (value: T) => unknown): () => void;
    /** Call those who have subscribed by now, not those who do so meanwhile. @param {T} value */
    tell(value: T): void;
}
