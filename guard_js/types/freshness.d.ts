/** How much of the log a guard is sure to have heard, and what time it is by the store's clock.
 *
 * The hub confirms that it has sent everything that was written until `elapsed` seconds after it
 * received the request. A guard that sent the request at T, by its own clock, has everything until
 * T + `elapsed`: no delay on the way can make that later. All times are seconds of one monotonic
 * clock, except those of the store.
 */
export type Confirmation = {
    at: number;
    elapsed: number;
    late?: Record<string, number>;
};
/** @typedef {{at: number, elapsed: number, late?: Record<string, number>}} Confirmation `at` is the
 *   store's time at `elapsed`; `late` are partitions of which only less is sure */
export declare class Freshness {
    #private;
    /** Note a confirmation that was heard at `heardAt`, of the response to a request that was sent at
     * `askedAt`, and had been received by `receivedBy`.
     * @param {Confirmation} confirmation @param {number} askedAt @param {number} receivedBy
     * @param {number} heardAt */
    confirm({ at, elapsed, late }: Confirmation, askedAt: number, receivedBy: number, heardAt: number): void;
    /** Note a logout, written at `at`: the store's clock had come so far when it was heard. So a login
     * that begins now is not mistaken for one that the logout ended. Returns by when the request had
     * been received, after all. @param {number} at @param {number} heardAt */
    hear(at: number, heardAt: number): number;
    /** For how many seconds there may be logouts of a partition that were not heard; of the worst one
     * if none is named. @param {number} now @param {number} [partition] */
    staleness(now: number, partition?: number): number;
    /** The store's time, in NumericDate seconds: it is not earlier, and hardly later. By it logins are
     * dated. NaN while nothing is known. @param {number} now */
    storeTime(now: number): number;
    /** A time that the store's clock has not passed yet: by it tokens end. @param {number} now */
    latestStoreTime(now: number): number;
    /** The store's time until which all logouts of a partition were heard. @param {number} partition */
    heardUntil(partition: number): number;
}
