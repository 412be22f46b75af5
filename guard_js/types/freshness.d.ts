/** How much of the log a guard certainly knows, and what time it is by the store's clock.
 *
 * The hub confirms that it has sent everything that was written until `elapsed` seconds after it
 * received the request. A guard that sent the request at T, by its own clock, has everything until
 * T + `elapsed`: network delay cannot make that later. All times are seconds of one monotonic clock,
 * except those of the store.
 */
export type Confirmation = {
    at: number;
    elapsed: number;
    late?: Record<string, number>;
};
/** @typedef {{at: number, elapsed: number, late?: Record<string, number>}} Confirmation `at` is the
 *   store's time at `elapsed`; `late` has the partitions for which `elapsed` is smaller */
export declare class Freshness {
    #private;
    /** Note a confirmation that was read at `readAt`, for a request that was sent at `askedAt`, and that
     * the hub had received by `receivedBy`.
     * @param {Confirmation} confirmation @param {number} askedAt @param {number} receivedBy
     * @param {number} readAt */
    confirm({ at, elapsed, late }: Confirmation, askedAt: number, receivedBy: number, readAt: number): void;
    /** Note a logout written at `at`: the store's clock had reached that time when it was read. So a
     * login that begins now is not mistaken for one that the logout ended. Returns by when the hub had
     * received the request, which this may prove to be earlier.
     * @param {number} at @param {number} readAt */
    noteLogout(at: number, readAt: number): number;
    /** How many seconds old the knowledge of a partition, or else of the oldest one, is.
     * @param {number} now @param {number} [partition] */
    staleness(now: number, partition?: number): number;
    /** A time that the store's clock has reached, in NumericDate seconds, by which logins are dated. NaN
     * while nothing is known. @param {number} now */
    storeTime(now: number): number;
    /** A time that the store's clock has not passed yet, by which tokens expire.
     * @param {number} now */
    latestStoreTime(now: number): number;
    /** The store's time before which all logouts of a partition are known.
     * @param {number} partition */
    knownUntil(partition: number): number;
}
