export type KeyObject = import("node:crypto").KeyObject;
export type Header = import("./tokens.js").Header;
export type Keys = {
    generation: () => number;
    find: (header: Header) => Found | Promise<Found>;
    renew: () => void;
};
export type Found = {
    found: readonly KeyObject[];
    generation: number;
};
export type PublishedKey = {
    key: KeyObject;
    kid?: string;
    algorithms: readonly string[];
};
/** @param {readonly KeyObject[]} keys @returns {Keys} */
export declare const staticKeys: (keys: readonly KeyObject[]) => Keys;
/** A secret to verify tokens with; throws an Error for a public key: if that were used as a secret,
 * anybody who knows it could sign.
 * @param {string} text */
export declare function readSecret(text: string): import("crypto").KeyObject;
/** A public key in PEM, with the algorithms that it can verify, the most common one first; throws an
 * Error if it is something else, or too weak.
 * @param {string} pem @returns {PublishedKey} */
export declare function readPem(pem: string): PublishedKey;
/** The published keys of an issuer (RFC 7517). They are fetched as `KeySchedule` says, one request at a
 * time, and nobody whose key is there waits for it. While fetching fails, the last keys remain in use.
 * @implements {Keys} */
export declare class KeySet implements Keys {
    #private;
    /** @param {(signal: AbortSignal) => Promise<string>} locate gives the address of the set
     * @param {(text: string) => void} log @param {() => number} [clock] in seconds */
    constructor(locate: (signal: AbortSignal) => Promise<string>, log: (text: string) => void, clock?: () => number);
    generation(): number;
    /** Begin to fetch keys again that are due, without waiting for it. */
    renew(): void;
    /** @param {Header} header */
    find(header: Header): Promise<{
        found: import("crypto").KeyObject[];
        generation: number;
    }>;
}
/** @param {unknown} error */
export declare function describe(error: unknown): string;
/** The address of an issuer's key set, from its metadata: by OpenID Connect Discovery 1.0 section 4,
 * else by RFC 8414 section 3. Metadata of another issuer is refused (sections 4.3 and 3.3).
 * @param {string} issuer @param {AbortSignal} signal */
export declare function discover(issuer: string, signal: AbortSignal): Promise<any>;
/** Check that keys may be fetched from a URL: over https, or http from loopback.
 * @param {string} member @param {string} url */
export declare function checkAddress(member: string, url: string): void;
/** The usable keys of a key set, and why others are too weak; throws if none is usable.
 * @param {any} document @returns {{keys: PublishedKey[], passedOver: string[]}} */
export declare function readKeySet(document: any): {
    keys: PublishedKey[];
    passedOver: string[];
};
