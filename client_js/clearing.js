/** Clears what the browser stored for the page, but for what the app keeps. */
/** @import { LogoutNotification } from "./frames.js" */
import { PENDING } from "./pending.js";
import { safely, TIMING, within } from "./tasks.js";

/** @typedef {"ordinary" | "lost"} Profile a lost device keeps nothing, not even the app's workers */
/** @typedef {{cleared: boolean, failed?: string[]}} Cleared `failed` of "storage", "cookies",
 *   "indexedDB", "caches", "push", "workers", "hook" */
/** @typedef {{keep?: string[], storages?: Storage[],
 *   profile?: Profile | ((notification: LogoutNotification) => Profile),
 *   clear?: (notification: LogoutNotification) => unknown}} Clearing */
/** @typedef {(name: string | null | undefined) => unknown} IsKept */

/** @returns {Storage[]} those that the page may use: reading the property can itself throw */
function pageStorages(names = ["localStorage", "sessionStorage"]) {
  return names.flatMap((name) => {
    try {
      return Reflect.get(globalThis, name) ?? [];
    } catch {
      return [];
    }
  });
}

/** @param {Storage} storage @param {IsKept} isKept */
function clearStorage(storage, isKept) {
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
  for (const key of keys) if (key !== null && !isKept(key)) storage.removeItem(key);
}

/** A cookie goes only by the path and the domain that it was set with, which no script is told.
 * @param {IsKept} isKept */
function clearCookies(isKept) {
  const { document } = globalThis;
  const list = () =>
    (document?.cookie ?? "").split(";").flatMap((pair) => pair.split("=")[0].trim() || []);
  const names = list().filter((name) => !isKept(name));
  if (!names.length) return;
  const { hostname, pathname, protocol } = location;
  const hosts = hostname.split(".").map((_, at, parts) => `; domain=${parts.slice(at).join(".")}`);
  const folders = pathname.split("/").map((_, at, parts) => parts.slice(0, at + 1).join("/"));
  const places = folders
    .flatMap((folder) => [folder, `${folder}/`])
    .flatMap((path) => ["", ...hosts].map((host) => `; path=${path}${host}`));
  const secure = protocol === "https:" ? "; secure" : "";
  for (const name of names)
    for (const place of places) document.cookie = `${name}=; max-age=0${place}${secure}`;
  if (list().some((name) => !isKept(name))) throw new Error("cookies are left");
}

/** A database that another tab has open goes when that tab lets go of it.
 * @param {IsKept} isKept */
async function clearDatabases(isKept) {
  const found = (await globalThis.indexedDB?.databases()) ?? [];
  /** @param {any} name */
  const remove = (name) =>
    new Promise((resolve, reject) => {
      Object.assign(indexedDB.deleteDatabase(name), { onsuccess: resolve, onerror: reject });
    });
  await Promise.all(found.flatMap(({ name }) => (isKept(name) ? [] : remove(name))));
}

/** @param {IsKept} isKept */
async function clearCaches(isKept) {
  const names = (await globalThis.caches?.keys()) ?? [];
  await Promise.all(names.flatMap((name) => (isKept(name) ? [] : caches.delete(name))));
}

/** @param {(worker: ServiceWorkerRegistration) => unknown} work */
async function eachWorker(work) {
  const workers = await globalThis.navigator?.serviceWorker?.getRegistrations();
  await Promise.all((workers ?? []).map(work));
}

/** @param {ServiceWorkerRegistration} worker */
const unsubscribe = async ({ pushManager }) =>
  (await pushManager?.getSubscription())?.unsubscribe();

/** @param {Clearing} options */
export function createCleaner({ keep = [], storages, profile, clear }) {
  const used = storages ?? pageStorages();

  /** @param {LogoutNotification} notification */
  function isLost(notification) {
    const { reason } = notification;
    const wanted = typeof profile === "function" ? profile(notification) : profile;
    return wanted ? wanted === "lost" : reason === "suspicious";
  }

  return {
    /** All at once, as there is not much time. @param {LogoutNotification} notification
     * @param {boolean} [taken] whether what tabs share belongs to a newer login by now
     * @returns {Promise<Cleared>} never rejects */
    async wipe(notification, taken) {
      let lost = true;
      await safely(() => {
        lost = isLost(notification);
      });
      /** @type {IsKept} */
      const isKept = (name) => name === PENDING || (!lost && keep.includes(String(name)));
      /** @type {[string, () => unknown][]} */
      const steps = [];
      for (const storage of taken && !storages ? pageStorages(["sessionStorage"]) : used)
        steps.push(["storage", () => clearStorage(storage, isKept)]);
      if (!taken) steps.push(["cookies", () => clearCookies(isKept)]);
      if (!taken && !storages)
        steps.push(
          ["indexedDB", () => clearDatabases(isKept)],
          ["caches", () => clearCaches(isKept)],
          ["push", () => eachWorker(unsubscribe)],
          ["workers", () => lost && eachWorker((worker) => worker.unregister())],
        );
      steps.push(["hook", () => clear?.(notification)]);
      const outcomes = await Promise.all(
        steps.map(async ([name, step]) =>
          (await safely(() => within(TIMING.hook, step))) ? [] : name,
        ),
      );
      const failed = [...new Set(outcomes.flat())];
      return failed.length ? { cleared: false, failed } : { cleared: true };
    },

    /** A same-origin hub's `Clear-Site-Data` takes everything: puts back what was to be kept.
     * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
    async keeping(work) {
      const entries = used.flatMap((storage) =>
        [PENDING, ...keep].map((key) => ({ storage, key, value: storage.getItem(key) })),
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
