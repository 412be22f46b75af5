import type { LogoutNotification } from "./frames.js";
import type { Part } from "./core.js";
import type { Options } from "./session.js";
/** The key in `localStorage` of logouts that are owed to the hub. */
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
    taken?: boolean;
};
/** @param {Options} options @param {Part[]} parts which may know of more to clear */
export declare function createCleaner({ keep, storages, profile, clear }: Options, parts: Part[]): {
    /** All at once, as there is not much time. @param {LogoutNotification} notification
     * @param {boolean | Promise<boolean | undefined>} [isTaken]
     * @returns {Promise<Cleared>} never rejects */
    wipe(notification: LogoutNotification, isTaken?: boolean | Promise<boolean | undefined>): Promise<Cleared>;
    /** A same-origin hub's `Clear-Site-Data` takes everything: puts back what was to be kept.
     * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
    keeping<T>(work: () => Promise<T>): Promise<T>;
};
