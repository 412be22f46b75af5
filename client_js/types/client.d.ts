export type LogoutHub = ReturnType<typeof createLogoutHub>;
import type { StockSocket } from "./attachment.js";
import type { Options } from "./session.js";
/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] */
export declare function createLogoutHub(options?: Options): {
    logout: ({ scope, sid, reason, message }?: import("./core.js").LogoutOptions) => Promise<import("./core.js").Receipt>;
    end: (sid: string) => Promise<import("./core.js").Receipt>;
    sessions(): Promise<import("./core.js").ListedSession[]>;
    receipt(id: string, wait?: number): Promise<import("./core.js").Receipt>;
    on<Name extends string & keyof import("./session.js").Events>(event: Name, listener: (value: import("./session.js").Events[Name]) => void): () => void;
    readonly session: string | undefined;
    readonly state: import("./lifecycle.js").Status;
    close(): void;
};
/** The same over the app's own socket.io-client socket, which `close()` leaves open.
 * @param {StockSocket} socket @param {Options} [options] @returns {LogoutHub} */
export declare function attach(socket: StockSocket, options?: Options): LogoutHub;
/** The client that the page's script tag created, if any. */
export declare const pageHub: () => {
    logout: ({ scope, sid, reason, message }?: import("./core.js").LogoutOptions) => Promise<import("./core.js").Receipt>;
    end: (sid: string) => Promise<import("./core.js").Receipt>;
    sessions(): Promise<import("./core.js").ListedSession[]>;
    receipt(id: string, wait?: number): Promise<import("./core.js").Receipt>;
    on<Name extends string & keyof import("./session.js").Events>(event: Name, listener: (value: import("./session.js").Events[Name]) => void): () => void;
    readonly session: string | undefined;
    readonly state: import("./lifecycle.js").Status;
    close(): void;
} | undefined;
