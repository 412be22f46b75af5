export type Claims = import("./claims.js").Claims;
export type Json = import("./strict-json.js").Json;
/** Whether `typ` of a header may be that of an access token. @param {Json} kind */
export declare function isTokenType(kind: Json): boolean;
/** Check that claims are those of an access token; throws `token_invalid`.
 *
 * ID tokens are refused only if any audience is accepted, since nothing else would stop them then.
 * @param {Claims} claims @param {boolean} anyAudience */
export declare function checkKind(claims: Claims, anyAudience: boolean): void;
