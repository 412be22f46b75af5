/** Tokens whose signature was verified: checking one of them again costs a look-up. */
export type Place = import("./revocations.js").Place;
export type Identity = import("./verdict.js").Identity;
export type Known = {
    token: string;
    identity: Identity;
    place: Place;
    accepted?: string;
};
export declare class KnownTokens {
    #private;
    /** @param {string} token @param {number} generation of the keys; -1 voids everything */
    get(token: string, generation: number): Known | undefined;
    /** @param {Known} known */
    add(known: Known): void;
}
