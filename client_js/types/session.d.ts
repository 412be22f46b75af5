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
     * clears what only the app knows of; has 1.5 s before the hub is told that it failed
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
export type State = "connecting" | "connected" | "polling" | "disconnected" | "ended" | "closed";
export type Events = {
    state: State;
    logout: LogoutNotification;
    delivered: any;
    error: {
        code: string;
        title?: string;
        detail?: string;
    };
};
export type Session = ReturnType<typeof createSession>;
import type { Cleared, Profile } from "./clearing.js";
import type { Part } from "./core.js";
import type { LoginUrl } from "./login.js";
import type { LogoutNotification, Refusal } from "./frames.js";
/** @param {Options} options @param {Part[]} parts told of each turn
 * @param {() => void} onHalt called at most once, when nothing more is to be tried */
export declare function createSession(options: Options, parts: Part[], onHalt: () => void): {
    credentials: {
        ask: () => Promise<string | undefined>;
        next(): Promise<string | undefined>;
        last: () => string | undefined;
        renewed: () => string | undefined;
        accepted(): void;
        settle(): void;
        renew(used: unknown, code: string): Promise<boolean>;
    };
    keeping: <T>(work: () => Promise<T>) => Promise<T>;
    finish: (notification: LogoutNotification, answer?: (result: Cleared) => void, taken?: boolean) => Promise<void>;
    emit: <Name extends keyof Events>(event: Name, value: Events[Name]) => void;
    tell: (turn: keyof Part, ...what: any[]) => Promise<any>;
    isClosed: () => boolean;
    isHalted: () => boolean;
    isOver: () => Promise<Cleared> | undefined;
    state: () => State;
    sid: () => string | undefined;
    user: () => string | undefined;
    /** A logout is under way: nothing is to prolong the session, or to show it, until it failed. */
    leave(): void;
    /** That logout has failed. */
    stay(): void;
    isLeaving: () => number;
    /** How the link stands, which is of no interest any more once halted. @param {State} next */
    show(next: State): void;
    /** The hub says that the session is alive. @param {string} [sid] @param {string} [user] whose
     *   it is, where told: by cookie, another person may have logged in meanwhile */
    accepted(sid?: string, user?: string): undefined;
    /** @param {Refusal} refusal @param {unknown} used the token that was refused
     * @returns {Promise<boolean>} whether there is a fresh token to try at once */
    refused({ code, title, detail, retryable, logout }: Refusal, used: unknown): Promise<boolean>;
    /** @template {keyof Events} Name @param {Name} event
     * @param {(value: Events[Name]) => void} listener @returns {() => void} stops listening */
    on<Name extends keyof Events>(event: Name, listener: (value: Events[Name]) => void): () => void;
    close(): void;
};
