/** Rejects RSA keys that are too weak to verify tokens: a signature proves nothing if others can
 * factor the key. */
/** Why an RSA key is too weak for its signatures to be trusted, if it is.
 * @param {bigint} modulus @param {bigint} exponent @returns {string | undefined} */
export declare function findWeakness(modulus: bigint, exponent: bigint): string | undefined;
