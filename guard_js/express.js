/** Middleware for Express, Connect, and anything else that takes `(request, response, next)`. */
import { Gate } from "./gate.js";
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
 * express-session.
 * @param {Guard} guard @param {MiddlewareOptions} [options]
 * @returns {(request: Request, response: ServerResponse, next: (error?: unknown) => void) => Promise<void>} */
export function guardMiddleware(guard, { cutStreams = true, ...options } = {}) {
  /** @type {Gate<Request>} */
  const gate = new Gate(guard, options);
  return async (request, response, next) => {
    try {
      request.hubIdentity = await gate.admit(request);
    } catch (error) {
      return sendAnswer(response, gate.refuse(error, request));
    }
    if (request.hubIdentity && cutStreams) cutWithSession(guard, request.hubIdentity, response);
    next();
  };
}
