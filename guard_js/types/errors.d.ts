/** The errors of a guard: the hub's codes, and how they are answered over HTTP. */
export type Fact = import("./verdict.js").Fact;
/** @typedef {import("./verdict.js").Fact} Fact */
/** The status and the title of each. @satisfies {Record<string, [status: number, title: string]>} */
declare const KINDS: {
    token_missing: [number, string];
    token_invalid: [number, string];
    token_expired: [number, string];
    token_revoked: [number, string];
    token_too_old: [number, string];
    token_not_yet_valid: [number, string];
    login_required: [number, string];
    forbidden: [number, string];
    origin_not_allowed: [number, string];
    not_found: [number, string];
    invalid_request: [number, string];
    rate_limited: [number, string];
    unavailable: [number, string];
};
export type Code = keyof typeof KINDS;
/** A refusal. `code` is stable, for programs; `title` is for people; `detail` says what was wrong.
 * `logout` is what ended the session, `retryAfter` is how many seconds to wait before trying again,
 * and `maxAge`, with `login_required`, how many seconds ago the login was ended. */
export declare class HubError extends Error {
    code: "forbidden" | "invalid_request" | "login_required" | "not_found" | "origin_not_allowed" | "rate_limited" | "token_expired" | "token_invalid" | "token_missing" | "token_not_yet_valid" | "token_revoked" | "token_too_old" | "unavailable";
    status: number;
    title: string;
    detail: string;
    retryable: boolean;
    logout: import("./verdict.js").Fact | undefined;
    retryAfter: number | undefined;
    maxAge: number | undefined;
    /** @param {Code} code @param {string} [detail]
     * @param {{logout?: Fact, retryAfter?: number, maxAge?: number, cause?: unknown}} [more] */
    constructor(code: Code, detail?: string, { logout, retryAfter, maxAge, cause }?: {
        logout?: Fact;
        retryAfter?: number;
        maxAge?: number;
        cause?: unknown;
    });
}
/** Whether a text is a code that a hub answers with. @param {unknown} code @returns {code is Code} */
export declare const isCode: (code: unknown) => code is Code;
/** The answer to an error, as problem details (RFC 9457): the same as the hub's.
 * @param {HubError} error
 * @returns {{status: number, headers: Record<string, string>, body: string}} */
export declare function problem(error: HubError): {
    status: number;
    headers: Record<string, string>;
    body: string;
};
export {};
