/** HTTP responses that end when their session does, such as server-sent events; and refusals. */
export type IncomingMessage = import("node:http").IncomingMessage;
export type ServerResponse = import("node:http").ServerResponse;
export type Answer = import("./gate.js").Answer;
export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
/** Cut a response without `Content-Length` when the session ends, unless it is the request that ends it.
 * @param {Guard} guard @param {Identity} identity @param {IncomingMessage} request
 * @param {ServerResponse} response */
export declare function cutWithSession(guard: Guard, identity: Identity, request: IncomingMessage, response: ServerResponse): void;
/** Send an answer. @param {ServerResponse} response @param {Answer} answer */
export declare function sendAnswer(response: ServerResponse, { status, headers, body }: Answer): void;
