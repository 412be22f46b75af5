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
export declare class Freshness {
    #private;
    /** Note a confirmation: it can only make more sure.
     * @param {number} sent when the request was sent @param {Confirmation} confirmation
     * @param {number} received when the confirmation came */
    confirm(sent: number, { at, elapsed, late }: Confirmation, received: number): void;
    /** Note a logout, written at `at`: the store's clock had come so far when it was heard. So a login
     * that begins now is not mistaken for one that the logout ended.
     * @param {number} at @param {number} received */
    hear(at: number, received: number): void;
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
