export type Sources = {
    awakeMs: () => number;
    wallMs: () => number;
    upSeconds: () => number;
};
/** A function that returns seconds since any instant.
 *
 * `performance.now` stands still while the machine is suspended; `os.uptime` does not, but costs a
 * system call. So it is only looked at when the time of day has moved in another way.
 * @param {Sources} [sources] */
export declare function monotonicClock({ awakeMs, wallMs, upSeconds }?: Sources): () => number;
