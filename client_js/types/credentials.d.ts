import type { Options } from "./session.js";
import type { Refusal } from "./frames.js";
export type Refused = [refusal: Refusal, used: unknown] | undefined;
/** @typedef {[refusal: Refusal, used: unknown] | undefined} Refused how, and which token */
/** @param {Options["token"]} token @param {any} session */
export declare function createCredentials(token: Options["token"], session: any): {
    /** The app's current token. */
    ask: () => Promise<string | undefined>;
    /** The token for an attempt to connect, or for a request. Each asks the app, since a token that
     * was newer for an earlier attempt may have ended, too. */
    next(): Promise<string | undefined>;
    last: () => string | undefined;
    accepted(): void;
    /** Renews once for each attempt. @param {Refusal} refusal @param {unknown} used */
    renew(refusal: Refusal, used: unknown): Promise<true | undefined>;
};
