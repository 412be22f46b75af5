/** How many values are packed together, and at most this many at each end are not. */
export declare const PACK = 500;
/** Values in the order in which they came; they can be written as JSON. A logout takes some 50 bytes.
 * @template T */
export declare class Backlog<T> {
    #private;
    /** The number of values. */
    get size(): number;
    /** Add a value at the end. @param {T} value */
    push(value: T): void;
    /** Remove the oldest value, and return it; there must be one. @returns {T} */
    shift(): T;
}
