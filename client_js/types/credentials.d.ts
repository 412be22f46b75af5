import type { Options } from "./session.js";
/** @param {Options["token"]} token */
export declare function createCredentials(token: Options["token"]): {
    /** What the app has now. */
    ask: () => Promise<string | undefined>;
    next(): Promise<string | undefined>;
    last: () => string | undefined;
    renewed: () => string | undefined;
    accepted(): void;
    /** The session is over: its last token may still ask what became of it, and no other is. */
    settle(): void;
    /** Once until a token is accepted; late refusals of the same token share the outcome.
     * @param {unknown} used @param {string} code */
    renew(used: unknown, code: string): Promise<boolean>;
};
