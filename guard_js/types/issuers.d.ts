import { KeySet } from "./key-sets.js";
export type Keys = import("./key-sets.js").Keys;
export type Header = import("./tokens.js").Header;
export type Rules = import("./tokens.js").Rules;
export type Identity = import("./verdict.js").Identity;
export type Issuer = {
    /**
     * the exact `iss` of its tokens; needed unless the key is your own
     */
    iss?: string;
    /**
     * other spellings of the same issuer
     */
    aliases?: string[];
    /**
     * a provider's name: its usual claims are the defaults for what follows
     */
    preset?: string;
    /**
     * keys are discovered from `iss`
     */
    discovery?: boolean;
    /**
     * the address of a key set, over https (http on the local machine)
     */
    jwksUrl?: string;
    /**
     * a public key in PEM
     */
    publicKey?: string;
    /**
     * a secret, or several while one replaces another
     */
    secret?: string | string[];
    /**
     * default: those of the key
     */
    algorithms?: string | string[];
    /**
     * whom tokens are for; required if keys are fetched, `"*"`
     * accepts any
     */
    audience?: string | string[];
    /**
     * the claims that may hold the audience
     */
    audienceClaims?: string | string[];
    /**
     * the claims that may name the user: the first one present counts
     */
    user?: string | string[];
    /**
     * the claims that identify the login
     */
    session?: string | string[];
    /**
     * the claims that say when the login began
     */
    loginTime?: string | string[];
    /**
     * the longest lifetime of a token: a day
     */
    maxLifetime?: number;
    /**
     * how far the issuer's clock may differ from the store's
     */
    leeway?: number;
};
export type Entry = {
    rules: Rules;
    keys: Keys;
    secret?: string;
};
export type Verification = {
    identity: Identity;
    keys: Keys;
    generation: number;
};
export declare class Issuers {
    #private;
    /** @param {readonly Issuer[]} issuers @param {(text: string) => void} [log] */
    constructor(issuers: readonly Issuer[], log?: (text: string) => void);
    get entries(): Entry[];
    /** The `iss` of the entry that `iss` means: an alias is resolved, and with only one entry it may be
     * omitted. Throws `invalid_request` if it is omitted and there are several.
     * @param {string} [iss] */
    resolve(iss?: string): string;
    /** The entry that has this name or alias. @param {string} iss */
    find(iss: string): Entry | undefined;
    /** Begin to fetch keys again that are due, so that no check ever waits for it. */
    renewKeys(): void;
    /** The identity of a token, without judging whether its session is alive. Rejects with
     * `token_invalid`, or with `unavailable` when the keys cannot be fetched.
     * @param {string} token @returns {Promise<Verification>} */
    verify(token: string): Promise<Verification>;
}
export type KeySets = Map<string, KeySet>;
