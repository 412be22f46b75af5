import type { Requests } from "./requests.js";
import type { Session } from "./session.js";
export type StockSocket = {
    connected: boolean;
    active: boolean;
    auth: any;
    io: any;
    connect: () => unknown;
    disconnect: () => unknown;
    on: (event: any, listener: any) => unknown;
    off: (event: any, listener: any) => unknown;
    timeout: (ms: number) => {
        emitWithAck: (event: any, ...args: any[]) => Promise<any>;
    };
};
/** @typedef {{connected: boolean, active: boolean, auth: any, io: any, connect: () => unknown,
 *   disconnect: () => unknown, on: (event: any, listener: any) => unknown,
 *   off: (event: any, listener: any) => unknown,
 *   timeout: (ms: number) => {emitWithAck: (event: any, ...args: any[]) => Promise<any>}}
 *   } StockSocket the part of socket.io-client's Socket that is used */
/** The token that the app's socket connects with, for HTTP calls as well.
 * @param {StockSocket} socket @returns {Promise<string | undefined>} */
export declare function tokenOf({ auth }: StockSocket): Promise<string | undefined>;
/** The origin that the app's socket connects to; undefined if that is the page's own.
 * @param {StockSocket} socket */
export declare function hubOf({ io }: StockSocket): any;
/** @param {Session} session @param {Requests} requests @param {StockSocket} socket */
export declare function createAttachment(session: Session, { check }: Requests, socket: StockSocket): {
    /** @param {string} name @param {object} data @returns {Promise<any>} */
    ask: (name: string, data: object) => Promise<any>;
    wake: () => Promise<void>;
    /** What the socket brings is about its own session, which may no longer be the confirmed one. */
    accepted(/** @type {boolean} */ isNew: boolean): void;
    stopped: () => void;
    ended: () => void;
    closed(): void;
};
