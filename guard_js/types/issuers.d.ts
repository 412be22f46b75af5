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
     * a provider's usual claims, as defaults for what follows
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
     * whom tokens are for; required where keys are fetched,
     * `"*"` takes any
     */
    audience?: string | string[];
    /**
     * the claims in which the audience is looked for
     */
    audienceClaims?: string | string[];
    /**
     * the claim that names the user: the first that is present
     */
    user?: string | string[];
    /**
     * the claims that identify the login
     */
    session?: string | string[];
    /**
     * the claim that says when the login began
     */
    loginTime?: string | string[];
    /**
     * for how long a token may be good; a day
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
    /** The `iss` of the entry that somebody means: an alias is resolved, and with only one it may be
     * left out. Throws `invalid_request` if there are several, and none was named.
     * @param {string} [iss] */
    resolve(iss?: string): string;
    /** The entry that has this name or alias. @param {string} iss */
    find(iss: string): Entry | undefined;
    /** Whose token this is, without asking whether its session is alive. Rejects with `token_invalid`,
     * or `unavailable` when the keys cannot be had.
     * @param {string} token @returns {Promise<Verification>} */
    verify(token: string): Promise<Verification>;
}
/** The entry of an issuer; throws an Error that names the member if it is not valid.
 * @param {Issuer} issuer @param {(text: string) => void} log @returns {Entry} */
export declare function readEntry(issuer: Issuer, log: (text: string) => void): Entry;
