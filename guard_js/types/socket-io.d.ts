export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
export type Sockets = {
    use: (middleware: (socket: any, next: (error?: any) => void) => void) => unknown;
};
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */
/** What is needed of a server or a namespace of Socket.IO.
 * @typedef {{use: (middleware: (socket: any, next: (error?: any) => void) => void) => unknown}} Sockets */
/** Refuse sockets without a living session by `connect_error`, and disconnect them when theirs ends.
 * The token is `auth.token` of the client, or else as in a request. `socket.data.hubIdentity` is
 * who it is. A middleware is for one namespace: call this for each that you have. Throws an Error if the
 * server has `connectionStateRecovery`: that hands what was missed to whoever comes back, unasked.
 * @param {Sockets} sockets the server, for its main namespace, or a namespace
 * @param {Guard} guard
 * @param {Omit<import("./gate.js").GateOptions<any>, "loginUrl" | "exempt">} [options] */
export declare function guardSockets(sockets: Sockets, guard: Guard, options?: Omit<import("./gate.js").GateOptions<any>, "loginUrl" | "exempt">): void;
