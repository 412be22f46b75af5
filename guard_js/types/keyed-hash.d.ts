export type Hash = {
    low: number;
    high: number;
};
/** @typedef {{low: number, high: number}} Hash two whole numbers of 32 bits */
/** @param {Uint8Array} [key] 8 bytes
 * @returns {(text: string) => Hash} */
export declare function keyedHash(key?: Uint8Array): (text: string) => Hash;
