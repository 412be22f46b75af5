export type Sources = {
    awakeMs: () => number;
    wallMs: () => number;
    upSeconds: () => number;
};
/** A function that returns the seconds since some fixed instant.
 *
 * `performance.now` stops while the machine is suspended; `os.uptime` does not, but costs a system
 * call. So it is only read when the time of day has moved differently.
 * @param {Sources} [sources] */
export declare function monotonicClock({ awakeMs, wallMs, upSeconds }?: Sources): () => number;
