export type ServerResponse = import("node:http").ServerResponse;
export type Login = import("./gate.js").Login;
export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
export type Request = import("node:http").IncomingMessage & {
    originalUrl?: string;
    session?: any;
    hubIdentity?: Identity;
};
export type MiddlewareOptions = import("./gate.js").GateOptions<Request> & {
    cutStreams?: boolean;
};
/** @typedef {import("node:http").ServerResponse} ServerResponse */
/** @typedef {import("./gate.js").Login} Login */
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */
/** `hubIdentity` is who sent the request, or undefined if it was admitted without credentials.
 * @typedef {import("node:http").IncomingMessage & {originalUrl?: string, session?: any,
 *   hubIdentity?: Identity}} Request */
/** @typedef {import("./gate.js").GateOptions<Request> & {cutStreams?: boolean}} MiddlewareOptions
 *   `cutStreams` also ends responses without `Content-Length` when their session ends: true */
/** Admit requests of living sessions, and end streams when theirs ends. With `session`, use it after
 * express-session. Errors from `session` or `forget` go to the app's error handlers.
 * @param {Guard} guard @param {MiddlewareOptions} [options]
 * @returns {(request: Request, response: ServerResponse, next: (error?: unknown) => void) => Promise<void>} */
export declare function guardMiddleware(guard: Guard, { cutStreams, ...options }?: MiddlewareOptions): (request: Request, response: ServerResponse, next: (error?: unknown) => void) => Promise<void>;
