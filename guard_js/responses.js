/** HTTP responses that end when their session does, such as server-sent events; and refusals. */

/** @typedef {import("node:http").ServerResponse} ServerResponse */
/** @typedef {import("./gate.js").Answer} Answer */
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */

/** How often a response that had not begun when its session ended is looked at again. It is not cut
 * at once, since it may be the answer to the logout. */
const GRACE_MS = 1000;

/** Cut a response without `Content-Length` when the session ends.
 * @param {Guard} guard @param {Identity} identity @param {ServerResponse} response */
export function cutWithSession(guard, identity, response) {
  const watch = guard.watchIdentity(identity);
  response.once("close", watch.cancel);
  watch.onEnd(() => {
    const cut = () => {
      if (response.headersSent && !statesLength(response)) response.destroy();
    };
    cut();
    const timer = setInterval(cut, GRACE_MS).unref();
    response.once("close", () => clearInterval(timer));
    if (response.destroyed) clearInterval(timer);
  });
}

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
