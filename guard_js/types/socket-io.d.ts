export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
export type Sockets = {
    use: (middleware: (socket: any, next: (error?: any) => void) => void) => unknown;
};
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */
/** The part of a Socket.IO server or namespace that is used here.
 * @typedef {{use: (middleware: (socket: any, next: (error?: any) => void) => void) => unknown}} Sockets */
/** Refuse sockets without a living session by `connect_error`, and disconnect them when theirs ends.
 * The token is the client's `auth.token`, or else as in a request. `socket.data.hubIdentity` is who
 * connected. Middleware is for one namespace: call this for each of yours. Throws an Error if the server
 * has `connectionStateRecovery`: it hands missed events to a client before anything is checked.
 * @param {Sockets} sockets the server, for its main namespace, or a namespace
 * @param {Guard} guard
 * @param {Omit<import("./gate.js").GateOptions<any>, "loginUrl" | "exempt">} [options] */
export declare function guardSockets(sockets: Sockets, guard: Guard, options?: Omit<import("./gate.js").GateOptions<any>, "loginUrl" | "exempt">): void;
