/** Call a function of the app: what it throws, or rejects with, is logged, and harms nothing else.
 * @template T @param {(text: string) => void} log @param {(value: T) => unknown} call
 * @param {T} value */
export declare function callSafely<T>(log: (text: string) => void, call: (value: T) => unknown, value: T): void;
