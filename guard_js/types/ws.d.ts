import { Gate } from "./gate.js";
export type IncomingMessage = import("node:http").IncomingMessage;
export type Duplex = import("node:stream").Duplex;
export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
export type SocketServer = {
    handleUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer, done: (socket: any) => void) => void;
    emit: (event: any, ...args: any[]) => boolean;
    shouldHandle?: (request: IncomingMessage) => any;
};
export type HttpServer = import("node:http").Server | import("node:https").Server;
export type Request = IncomingMessage & {
    hubIdentity?: Identity;
};
export type Guarding = {
    guard: Guard;
    gate: Gate<Request>;
};
export type Entrance = {
    guards: Guarding[];
    upgrade: (...given: any) => unknown;
};
/** Refuse upgrades without a living session with 401, and close sockets with code 4401 when theirs
 * ends. In the event `connection`, `request.hubIdentity` is who connected.
 * @param {HttpServer} server @param {SocketServer} sockets a `new WebSocketServer({ noServer: true })`
 * @param {Guard} guard @param {import("./gate.js").GateOptions<Request>} [options]
 * @returns {() => void} stops guarding */
export declare function guardUpgrades(server: HttpServer, sockets: SocketServer, guard: Guard, options?: import("./gate.js").GateOptions<Request>): () => void;
/** Close a socket of `ws` with code 4401 when the session ends.
 * @param {Guard} guard @param {Identity} identity
 * @param {{close: (code: number, reason: string) => void, terminate: () => void,
 *   once: (event: any, f: () => void) => unknown}} socket */
export declare function closeWithSession(guard: Guard, identity: Identity, socket: {
    close: (code: number, reason: string) => void;
    terminate: () => void;
    once: (event: any, f: () => void) => unknown;
}): void;
