/** A table of instants by hash: 25 bytes a slot, in arrays that the garbage collector skips.
 *
 * It is a hash table with open addressing and linear probing, at most three quarters full. The
 * hashed texts are not kept: among a million, the chance that two share all 64 bits is one in 37
 * million, and those two would then be revoked together.
 */
export type Hash = import("./keyed-hash.js").Hash;
export declare class Instants {
    #private;
    /** How many instants there are. */
    size: number;
    constructor();
    /** Store an instant, unless there is a later one: later by its horizon, then by when it was
     * written. Times are in microseconds; `tag` is a number below 255. Returns whether it was stored.
     * @param {Hash} hash @param {number} horizon @param {number} at @param {number} tag */
    keep(hash: Hash, horizon: number, at: number, tag: number): boolean;
    /** @param {Hash} hash
     * @returns {{horizon: number, at: number, tag: number} | undefined} */
    get(hash: Hash): {
        horizon: number;
        at: number;
        tag: number;
    } | undefined;
    /** Drop what was written before `oldest`, if that is at least a quarter of the table.
     * @param {number} oldest */
    drop(oldest: number): void;
}
