/** Middleware for Express, Connect, and anything else that takes `(request, response, next)`. */
import { HubError } from "./errors.js";
import { Gate } from "./gate.js";
import { answering } from "./own-logout.js";
import { cutWithSession, sendAnswer } from "./responses.js";

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
export function guardMiddleware(guard, { cutStreams = true, ...options } = {}) {
  /** @type {Gate<Request>} */
  const gate = new Gate(guard, options);
  return async (request, response, next) => {
    const before = request.hubIdentity;
    let identity;
    try {
      identity = await gate.admit(request, before);
    } catch (error) {
      if (!(error instanceof HubError)) return next(error);
      return sendAnswer(response, gate.refuse(error, request));
    }
    request.hubIdentity = identity;
    if (identity && identity !== before && cutStreams)
      cutWithSession(guard, identity, request, response);
    answering(request, next);
  };
}
