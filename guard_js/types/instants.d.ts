/** A table of instants by a hash: 25 bytes a slot, in arrays that the garbage collector skips.
 *
 * It is a hash table with open addressing and linear probing, at most three quarters full. The
 * texts that were hashed are not kept: two of a million have the same 64 bits with a chance of one
 * in 37 million, and would then be revoked together.
 */
export type Hash = import("./keyed-hash.js").Hash;
export declare class Instants {
    #private;
    /** How many hashes have an instant. */
    size: number;
    constructor();
    /** Keep an instant, unless a later one is there: later by its horizon, then by when it was
     * written. Times are in microseconds; `tag` is a number below 255.
     * @param {Hash} hash @param {number} horizon @param {number} at @param {number} tag */
    keep(hash: Hash, horizon: number, at: number, tag: number): void;
    /** @param {Hash} hash
     * @returns {{horizon: number, at: number, tag: number} | undefined} */
    get(hash: Hash): {
        horizon: number;
        at: number;
        tag: number;
    } | undefined;
    /** Drop what was written before `oldest`, if that is a good part of the table.
     * @param {number} oldest */
    drop(oldest: number): void;
}
