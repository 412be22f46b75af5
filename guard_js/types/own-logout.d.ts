export type IncomingMessage = import("node:http").IncomingMessage;
export type Identity = import("./verdict.js").Identity;
/** Call a function that answers a request. @param {IncomingMessage} request @param {() => void} call */
export declare function answering(request: IncomingMessage, call: () => void): void;
/** Note that the request that is being answered, if there is one, ends a session; to be called before the
 * hub hears of it. @param {Pick<Identity, "userKey" | "sid">} session */
export declare const noteEnd: (session: Pick<Identity, "userKey" | "sid">) => Set<string> | undefined;
/** Whether a request has ended this session.
 * @param {IncomingMessage} request @param {Pick<Identity, "userKey" | "sid">} session */
export declare const hasEnded: (request: IncomingMessage, session: Pick<Identity, "userKey" | "sid">) => boolean;
