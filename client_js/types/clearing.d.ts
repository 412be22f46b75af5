import type { LogoutNotification } from "./frames.js";
import type { Hooks } from "./core.js";
import type { Options } from "./session.js";
/** The key in `localStorage` of pending logouts, which have yet to be sent to the hub. */
export declare const PENDING = "logout-hub:pending";
export type Profile = "ordinary" | "lost";
export type Cleared = {
    cleared: boolean;
    failed?: string[];
};
export type IsKept = (name: string | null | undefined) => unknown;
export type Step = [name: string, work: () => unknown];
export type Clearing = {
    isKept: IsKept;
    lost: boolean;
    replaced?: boolean;
};
/** @param {Options} options @param {Iterable<Hooks>} plugins that may have more to clear */
export declare function createCleaner({ keep, storages, profile, clear }: Options, plugins: Iterable<Hooks>): {
    /** All in parallel, since there is little time. @param {LogoutNotification} notification
     * @param {boolean | Promise<boolean | undefined>} [isReplaced]
     * @returns {Promise<Cleared>} never rejects */
    clear(notification: LogoutNotification, isReplaced?: boolean | Promise<boolean | undefined>): Promise<Cleared>;
    /** `Clear-Site-Data` from a hub on the page's own origin clears everything: restores what is
     * to be kept.
     * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
    restore<T>(work: () => Promise<T>): Promise<T>;
};
