/** Clears what the page stored, but for what the app keeps. */
/** @import { LogoutNotification } from "./frames.js" */
import { safely, TIMING, within } from "./tasks.js";

/** @typedef {{cleared: boolean, failed?: string[]}} Cleared `failed` of "storage", "cookies", "hook" */

/** @returns {Storage[]} those that the page may use: reading the property can itself throw */
function pageStorages() {
  return ["localStorage", "sessionStorage"].flatMap((name) => {
    try {
      return Reflect.get(globalThis, name) ?? [];
    } catch {
      return [];
    }
  });
}

/** @param {Storage} storage @param {Set<string>} kept */
function clearStorage(storage, kept) {
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
  for (const key of keys) if (key !== null && !kept.has(key)) storage.removeItem(key);
}

/** @param {Set<string>} kept */
function clearCookies(kept) {
  const pairs = (globalThis.document?.cookie ?? "").split(";");
  const secure = globalThis.location?.protocol === "https:" ? "; secure" : "";
  for (const name of pairs.map((pair) => pair.split("=")[0].trim()))
    for (const path of ["; path=/", `; path=${globalThis.location?.pathname}`, ""]) {
      // biome-ignore lint/suspicious/noDocumentCookie: not every browser has the Cookie Store
      if (name && !kept.has(name)) document.cookie = `${name}=; max-age=0${path}${secure}`;
    }
}

/** @param {{keep?: string[], storages?: Storage[],
 *   clear?: (notification: LogoutNotification) => unknown}} options */
export function createCleaner({ keep, storages = pageStorages(), clear }) {
  const kept = new Set(keep);
  return {
    /** @param {LogoutNotification} notification @returns {Promise<Cleared>} never rejects */
    async wipe(notification) {
      /** @type {[string, () => unknown][]} */
      const steps = storages.map((storage) => ["storage", () => clearStorage(storage, kept)]);
      steps.push(["cookies", () => clearCookies(kept)]);
      if (clear) steps.push(["hook", () => within(TIMING.hook, () => clear(notification))]);
      const failed = new Set();
      for (const [name, step] of steps) if (!(await safely(step))) failed.add(name);
      return failed.size ? { cleared: false, failed: [...failed] } : { cleared: true };
    },

    /** A same-origin hub's `Clear-Site-Data` takes everything: puts back what was to be kept.
     * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
    async keeping(work) {
      const entries = storages.flatMap((storage) =>
        [...kept].map((key) => ({ storage, key, value: storage.getItem(key) })),
      );
      try {
        return await work();
      } finally {
        for (const { storage, key, value } of entries)
          if (value !== null && storage.getItem(key) === null)
            void safely(() => storage.setItem(key, value));
      }
    },
  };
}
