export type LogoutOptions = {
    scope?: "all" | "others" | "session";
    sid?: string;
    reason?: string;
    message?: string;
};
export type Connection = {
    ask: (name: string, data: object) => Promise<any>;
    wake: () => void;
    stopped: () => void;
    ended: () => void;
    closed: () => void;
};
export type Outcome = {
    sid: string;
    device: string;
    state: "acknowledged" | "notified" | "cut" | "offline";
    failed?: string[];
};
export type Receipt = {
    id?: string;
    scope: string;
    reason?: string;
    at?: number;
    message?: string | null;
    sessions: Outcome[];
    complete?: boolean;
    pending?: boolean;
};
export type ListedSession = {
    sid: string;
    device: string;
    ip: string;
    created_at: number;
    last_seen_at: number;
    expires_at: number;
    online: boolean;
    current: boolean;
};
export type Core = {
    options: Options;
    session: Session;
    requests: Requests;
    wake: () => void;
};
export type Hooks = {
    /**
     * resolves to true to have connecting wait until
     * the plug-in calls `wake`
     */
    connecting?: () => Promise<unknown>;
    /**
     * the hub says that the session is alive; `isNew`
     * if it is not the same as before
     */
    accepted?: (isNew: boolean) => void;
    /**
     * the app has asked to log this session out
     */
    logoutStarted?: () => void;
    /**
     * whether a newer login has replaced this session in the
     * browser, which then owns what tabs share
     */
    isReplaced?: () => unknown;
    /**
     * the session is over, and
     * nothing is cleared yet
     */
    ended?: (why: LogoutNotification, replaced?: boolean) => void;
    /**
     * more to clear
     */
    steps?: (clearing: Clearing) => Step[];
    /**
     * the hub cannot be reached: stores the logout for
     * later, if that is possible, and ends the session
     */
    queueLogout?: (key: string, command: Command, why: LogoutNotification) => Promise<Receipt | undefined>;
    /**
     * the hub has refused the client for good, and it does nothing more
     */
    stopped?: () => void;
    /**
     * the app has been notified of the end
     */
    announced?: (why: LogoutNotification) => void;
    /**
     * the app has closed the client
     */
    closed?: () => void;
};
import type { Clearing, Step } from "./clearing.js";
import type { LogoutNotification } from "./frames.js";
import type { Command } from "./offline.js";
import type { Requests } from "./requests.js";
import type { Events, Options, Session } from "./session.js";
/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] @param {((core: Core) => Hooks)[]} [plugins] their hooks are called in
 *   this order
 * @param {(session: Session, requests: Requests, device?: string) => Connection} [connect] */
export declare function createCore(options?: Options, plugins?: ((core: Core) => Hooks)[], connect?: (session: Session, requests: Requests, device?: string) => Connection): {
    /** Ends sessions, by default all. */
    logout: ({ scope, sid, reason, message }?: LogoutOptions) => Promise<Receipt>;
    /** Ends one of the user's sessions. @param {string} sid */
    end: (sid: string) => Promise<Receipt>;
    /** @returns {Promise<ListedSession[]>} */
    sessions(): Promise<ListedSession[]>;
    /** The receipt of a logout. @param {string} id
     * @param {number} [wait] seconds to wait for the receipt to be complete, up to 10
     * @returns {Promise<Receipt>} */
    receipt(id: string, wait?: number): Promise<Receipt>;
    /** @template {string & keyof Events} Name @param {Name} event
     * @param {(value: Events[Name]) => void} listener @returns {() => void} stops listening */
    on<Name extends string & keyof Events>(event: Name, listener: (value: Events[Name]) => void): () => void;
    readonly session: string | undefined;
    readonly state: import("./lifecycle.js").Status;
    close(): void;
};
