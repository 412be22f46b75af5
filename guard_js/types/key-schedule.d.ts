/** When an issuer's published keys are fetched, and what is known of a key that is not among them.
 *
 * The rule of `hub/core/key_schedule.py`, which says why; all times are in seconds, by any one clock.
 */
export declare class KeySchedule {
    #private;
    /** How many fetches succeeded. */
    fetched: number;
    /** Whether a key that is not there may be one of the issuer's: it cannot be asked now. */
    get isFailing(): boolean;
    /** Whether to fetch keys again that are in use. Nobody has to wait for that.
     * @param {number} now */
    isDue(now: number): boolean;
    /** In how many seconds to fetch for a key that is not there; 0 if at once. @param {number} now */
    wait(now: number): number;
    /** Note a fetch that has ended. @param {number} now @param {boolean} succeeded */
    noteFetch(now: number, succeeded: boolean): void;
    /** Note that the last fetch was for a key that was not there; `found` if it is now. That counts even
     * then, since an issuer's servers may publish different keys in turn, but for the very first fetch.
     * @param {number} now @param {boolean} found */
    noteLook(now: number, found: boolean): void;
}
