import type { Options } from "./session.js";
import type { Refusal } from "./frames.js";
/** @param {Options["token"]} token @param {any} session */
export declare function createCredentials(token: Options["token"], session: any): {
    /** The app's current token. */
    ask: () => Promise<string | undefined>;
    next(): Promise<string | undefined>;
    last: () => string | undefined;
    renewed: () => string | undefined;
    accepted(): void;
    /** Renews once until a token is accepted; late refusals of the same token share the result.
     * @param {Refusal} refusal @param {unknown} used */
    renew(refusal: Refusal, used: unknown): Promise<any>;
};
