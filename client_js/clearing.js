/** Clears what the browser stored for the page, except what the app keeps. */
/** @import { LogoutNotification } from "./frames.js" */
/** @import { Hooks } from "./core.js" */
/** @import { Options } from "./session.js" */
import { safely, TIMING, within } from "./tasks.js";

/** The key in `localStorage` of pending logouts, which have yet to be sent to the hub. */
export const PENDING = "logout-hub:pending";

/** @typedef {"ordinary" | "lost"} Profile a lost device keeps nothing, not even the app's workers */
/** @typedef {{cleared: boolean, failed?: string[]}} Cleared `failed` of "storage", "cookies",
 *   "indexedDB", "caches", "push", "workers", "hook", "part" */
/** @typedef {(name: string | null | undefined) => unknown} IsKept */
/** @typedef {[name: string, work: () => unknown]} Step */
/** @typedef {{isKept: IsKept, lost: boolean, replaced?: boolean}} Clearing `replaced` by a newer
 *   login, which now owns what tabs share */

/** Empty where the page may not use it: even reading the property can throw.
 * @param {string} name @returns {Storage[]} */
function webStorage(name) {
  try {
    return /** @type {any} */ (globalThis)[name] ?? [];
  } catch {
    return [];
  }
}

/** @param {Storage} storage @param {IsKept} isKept */
function clearStorage(storage, isKept) {
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
  for (const key of keys) if (!isKept(key)) storage.removeItem(/** @type {string} */ (key));
}

/** @param {Options} options @param {Iterable<Hooks>} plugins that may have more to clear */
export function createCleaner({ keep = [], storages, profile, clear }, plugins) {
  /** @param {boolean} [replaced] */
  const storagesOf = (replaced) =>
    storages ?? ["sessionStorage", replaced ? "" : "localStorage"].flatMap(webStorage);

  return {
    /** All in parallel, since there is little time. @param {LogoutNotification} notification
     * @param {boolean | Promise<boolean | undefined>} [isReplaced]
     * @returns {Promise<Cleared>} never rejects */
    async clear(notification, isReplaced) {
      const replaced = await isReplaced;
      const lost = await safely(() => {
        /** @type {any} */
        const wanted = typeof profile === "function" ? profile(notification) : profile;
        // All words that may be there are ours.
        return /^(lost|susp)/.test(wanted || notification.profile || notification.reason);
      }, true);
      // Our own keys are not private: pending logouts, and when the page last went to the login.
      /** @param {any} name */
      const isKept = (name) => /^logout-hub:/.test(name) || (!lost && keep.includes(name));
      /** @param {Step} step */
      const run = ([name, work]) => safely(() => within(TIMING.hook, work).then(() => []), name);
      const outcomes = await Promise.all([
        ...storagesOf(replaced).map((storage) =>
          run(["storage", () => clearStorage(storage, isKept)]),
        ),
        // "part" is what receipts call a plug-in.
        ...[...plugins].map((plugin) =>
          safely(
            () => Promise.all((plugin.steps?.({ isKept, lost, replaced }) ?? []).map(run)),
            "part",
          ),
        ),
        run(["hook", () => clear?.(notification)]),
      ]);
      const failed = [...new Set(outcomes.flat(2))];
      return failed.length ? { cleared: false, failed } : { cleared: true };
    },

    /** `Clear-Site-Data` from a hub on the page's own origin clears everything: restores what is
     * to be kept.
     * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
    restore(work) {
      const entries = storagesOf().flatMap((storage) =>
        [PENDING, ...keep].map(
          (key) => /** @type {const} */ ([storage, key, storage.getItem(key)]),
        ),
      );
      return work().finally(() => {
        for (const [storage, key, value] of entries)
          if (value && !storage.getItem(key)) storage.setItem(key, value);
      });
    },
  };
}
