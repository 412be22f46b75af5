export type KeyObject = import("node:crypto").KeyObject;
export type Claims = import("./claims.js").Claims;
export type Json = import("./strict-json.js").Json;
export type Identity = import("./verdict.js").Identity;
export type Header = {
    alg: string;
    kid?: string;
};
export type Rules = {
    algorithms: readonly string[];
    maxLifetime: number;
    issuer?: string;
    aliases: readonly string[];
    audience?: readonly string[];
    audienceClaims: readonly string[];
    user: readonly string[];
    session: readonly string[];
    loginTime: readonly string[];
    leeway: number;
};
export declare const ALGORITHMS: string[];
/** Whether tokens with this `iss` belong to an entry. @param {Rules} rules @param {unknown} iss */
export declare const isOf: ({ issuer, aliases }: Rules, iss: unknown) => boolean;
/** The header of a token, so that its issuer entry and its key can be looked up. It is refused if it
 * is too long, no JWT in compact form, repeats a member, uses an extension (`crit`, `b64`: RFC 7515
 * section 4.1.11, RFC 7797), or is of another kind (`typ`).
 * @param {string} token @returns {Header} */
export declare function readHeader(token: string): Header;
/** The claims of a token without verifying its signature; they must not be trusted.
 * @param {string} token */
export declare const readClaims: (token: string) => import("./claims.js").Claims;
/** Verify the signature of a token by the pinned algorithms. Call `readHeader` first: it makes the
 * checks that need no key.
 * @param {string} token @param {KeyObject} key @param {Header} header @param {Rules} rules */
export declare function checkSignature(token: string, key: KeyObject, { alg }: Header, { algorithms }: Rules): Promise<void>;
/** Check the claims of a token, and return its identity.
 * @param {Claims} claims @param {string} token @param {Rules} rules @returns {Identity} */
export declare function identify(claims: Claims, token: string, rules: Rules): Identity;
