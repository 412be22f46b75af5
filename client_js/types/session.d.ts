export type Options = {
    /**
     * the hub's origin; by default the page's own
     */
    url?: string;
    /**
     * a function is asked at each connect and refresh; without a token the hub's cookie is used
     */
    token?: string | (() => string | undefined | Promise<string | undefined>);
    /**
     * names of storage keys, cookies, databases and caches that clearing
     * leaves alone
     */
    keep?: string[];
    /**
     * where the page goes once `onLogout` has settled
     */
    loginUrl?: LoginUrl;
    /**
     * called once, after clearing
     */
    onLogout?: (notification: LogoutNotification) => unknown;
    /**
     * a name that people read in their list of sessions
     */
    device?: string;
    /**
     * clears these and cookies only, not what all of the origin shares
     */
    storages?: Storage[];
    /**
     * clears what only the app knows about; has 1.5 s, after which it counts as failed
     */
    clear?: (notification: LogoutNotification) => unknown;
    /**
     * how much is
     * cleared; by default "lost" when the reason is `suspicious`, else "ordinary"
     */
    profile?: Profile | ((notification: LogoutNotification) => Profile);
    /**
     * private content, a selector or elements, hidden
     * until the session is confirmed; by default what has the attribute `data-private`
     */
    hide?: string | Iterable<Element>;
};
export type Events = {
    state: Status;
    logout: LogoutNotification;
    delivered: any;
    error: {
        code: string;
        title?: string;
        detail?: string;
    };
};
export type Session = ReturnType<typeof createSession>;
import type { Profile } from "./clearing.js";
import type { Details, Status, Transitions } from "./lifecycle.js";
import type { LoginUrl } from "./login.js";
import type { LogoutNotification } from "./frames.js";
/** @param {Options} options
 * @param {Set<object>} hooks objects whose methods are the hooks, in the order of calling */
export declare function createSession(options: Options, hooks: Set<object>): {
    live: boolean;
    status: Status;
    logouts: number;
    sid?: string;
    user?: string;
    why?: LogoutNotification;
    restore: <T>(work: () => Promise<T>) => Promise<T>;
    dispatch: <Name extends keyof Transitions>(event: Name, ...details: Details<Name>) => Promise<any> | undefined;
    callHooks: (name: string, ...args: any[]) => Promise<any>;
} & {
    credentials: {
        ask: () => Promise<string | undefined>;
        next(): Promise<string | undefined>;
        last: () => string | undefined;
        accepted(): void;
        renew(refusal: import("./frames.js").Refusal, used: unknown): Promise<true | undefined>;
    };
};
