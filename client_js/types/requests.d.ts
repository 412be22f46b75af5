import type { Session } from "./session.js";
export type Requests = ReturnType<typeof createRequests>;
export type Init = RequestInit & {
    headers?: Record<string, string>;
    ms?: number;
    token?: string;
};
/** @typedef {ReturnType<typeof createRequests>} Requests */
/** @typedef {RequestInit & {headers?: Record<string, string>, ms?: number, token?: string}} Init `ms`
 *   is how long it may take */
/** @param {any} [problem] what the hub said, if it was the hub */
export declare const failure: (problem?: any) => Error & {
    code: any;
    problem: any;
};
/** @param {string} key under which it counts once @param {object} command @returns {Init} */
export declare const postLogout: (key: string, command: object) => Init;
/** @param {string | undefined} url @param {Session} session */
export declare function createRequests(url: string | undefined, { credentials, dispatch }: Session): {
    origin: string;
    send: (path: string, { token, ms, ...init }: Init) => Promise<{
        status: number;
        body: any;
    }>;
    call: (path: string, init?: Init) => Promise<any>;
    /** Confirms the session: only a 200 of the hub says that it is alive; a 401 ends it. */
    check: () => Promise<any>;
};
