/** Tokens whose signatures were verified: checking one again costs a look-up. */
export type Names = import("./revocations.js").Names;
export type Verification = import("./issuers.js").Verification;
export type Known = Verification & {
    token: string;
    names: Names;
    accepted?: string;
};
export declare class KnownTokens {
    #private;
    /** What is known of a token, unless its issuer's keys have changed since.
     * @param {string} token */
    get(token: string): Known | undefined;
    /** Remember a token, and return the shared record of it, even if two checks verified it at once.
     * @param {Known} known */
    add(known: Known): Known;
}
