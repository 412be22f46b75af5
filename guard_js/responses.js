/** HTTP responses that end when their session does, such as server-sent events; and refusals. */

import { watchWhile, whenOver } from "./lifetimes.js";
import { hasEnded } from "./own-logout.js";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {import("node:http").ServerResponse} ServerResponse */
/** @typedef {import("./gate.js").Answer} Answer */
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */

/** How long a response may go on that began after its session had ended: it may be the answer to the
 * logout, if the app has logged out by other means than `endSession`. */
const GRACE_MS = 1000;

/** Cut a response without `Content-Length` when the session ends, unless it is the request that ends it.
 * @param {Guard} guard @param {Identity} identity @param {IncomingMessage} request
 * @param {ServerResponse} response */
export function cutWithSession(guard, identity, request, response) {
  const lives = livesOf(request, response);
  const watch = watchWhile(guard, identity, lives);
  const cut = () => {
    if (!statesLength(response) && !hasEnded(request, identity)) response.destroy();
  };
  watch.onEnd(() => {
    if (response.headersSent) return cut();
    let hasBegun = false;
    const timer = setInterval(() => {
      // It has had the whole of its grace once it is seen for the second time.
      if (hasBegun) cut();
      hasBegun = response.headersSent;
    }, GRACE_MS).unref();
    whenOver(lives, () => clearInterval(timer));
  });
}

/** A response to a request that was pipelined has no socket until those before it are sent, and if the
 * connection is lost before, it does not tell.
 * @param {IncomingMessage} request @param {ServerResponse} response
 * @returns {import("./lifetimes.js").Life[]} */
const livesOf = (request, response) =>
  response.socket === null
    ? [
        [response, "close"],
        [request.socket, "close"],
      ]
    : [[response, "close"]];

/** Whether a response has a `Content-Length`. One that was given to `writeHead`, or that Node has added,
 * is nowhere but in the head that was sent. @param {ServerResponse & {_header?: string | null}} response */
const statesLength = (response) =>
  response.hasHeader("content-length") || /\r\ncontent-length:/i.test(response._header ?? "");

/** Send an answer. @param {ServerResponse} response @param {Answer} answer */
export function sendAnswer(response, { status, headers, body }) {
  // The app may have stopped waiting for the check, and answered.
  if (response.headersSent) return;
  response.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
