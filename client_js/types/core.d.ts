export type LogoutOptions = {
    scope?: "all" | "others" | "session";
    sid?: string;
    reason?: string;
    message?: string;
};
export type Link = {
    ask: (name: string, data: object) => Promise<any>;
    wake: () => void;
    halt: () => void;
    close: () => void;
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
export type Part = {
    /**
     * whether connecting has to wait, for a `wake` to come
     */
    holds?: () => Promise<unknown>;
    /**
     * the hub says that the session is alive
     */
    accepted?: (isNew: boolean) => void;
    /**
     * the app has asked to log this session out
     */
    left?: () => void;
    /**
     * whether what tabs share belongs to a newer login by now
     */
    isTaken?: () => unknown;
    /**
     * before clearing
     */
    ended?: (notification: LogoutNotification, taken?: boolean) => void;
    /**
     * more to clear
     */
    steps?: (clearing: Clearing) => Step[];
    /**
     * keeps a logout that the hub cannot be told of, if it can,
     * and ends the session
     */
    keep?: (key: string, command: Command, why: LogoutNotification) => Promise<Receipt | undefined>;
    /**
     * the app has been told of the end
     */
    announced?: (notification: LogoutNotification) => void;
    /**
     * by the app
     */
    closed?: () => void;
};
import type { Clearing, Step } from "./clearing.js";
import type { LogoutNotification } from "./frames.js";
import type { Command } from "./offline.js";
import type { Requests } from "./requests.js";
import type { Options, Session } from "./session.js";
/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] @param {((core: Core) => Part)[]} [uses] parts, in the order in which
 *   they are told
 * @param {(session: Session, requests: Requests, device?: string) => Link} [linkFor] */
export declare function createCore(options?: Options, uses?: ((core: Core) => Part)[], linkFor?: (session: Session, requests: Requests, device?: string) => Link): {
    /** Ends sessions, by default all. */
    logout: ({ scope, sid, reason, message }?: LogoutOptions) => Promise<Receipt>;
    /** Ends one of the user's sessions. @param {string} sid */
    end: (sid: string) => Promise<Receipt>;
    /** @returns {Promise<ListedSession[]>} */
    sessions(): Promise<ListedSession[]>;
    /** What became of a logout. @param {string} id
     * @param {number} [wait] seconds, up to 10, in which the last word may still come
     * @returns {Promise<Receipt>} */
    receipt(id: string, wait?: number): Promise<Receipt>;
    on: <Name extends keyof import("./session.js").Events>(event: Name, listener: (value: import("./session.js").Events[Name]) => void) => () => void;
    readonly session: string | undefined;
    readonly state: import("./session.js").State;
    close(): void;
};
