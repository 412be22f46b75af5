/** Clears what the browser stores for a site besides the web storages. */
/** @import { IsKept, Step } from "./clearing.js" */
/** @import { Core, Hooks } from "./core.js" */

/** In parallel. @template T @param {Promise<readonly T[]> | undefined} found none in some browsers
 * @param {(one: T) => unknown} work */
const each = async (found, work) => Promise.all(((await found) ?? []).map(work));

/** Deleting a cookie needs the path and domain that it was set with, which scripts cannot read.
 * @param {IsKept} isKept */
function clearCookies(isKept) {
  const { document } = globalThis;
  const found = () =>
    (document?.cookie ?? "")
      .split("; ")
      .map((pair) => pair.split("=")[0])
      .filter((name) => name && !isKept(name));
  for (const name of found()) {
    const { hostname, pathname, protocol } = location;
    const hosts = hostname.split(".").map((_, at, parts) => `domain=${parts.slice(at).join(".")}`);
    let path = "";
    for (const part of pathname.split(/(\/)/)) {
      path += part;
      for (const host of ["", ...hosts])
        document.cookie = `${name}=; max-age=0; path=${path}; ${host}${protocol === "https:" ? "; secure" : ""}`;
    }
  }
  if (found().length) throw Error("cookies");
}

/** A database that another tab has open is deleted when that tab closes it.
 * @param {IsKept} isKept */
async function clearDatabases(isKept) {
  /** @param {any} name */
  const remove = (name) =>
    new Promise((resolve, reject) => {
      Object.assign(indexedDB.deleteDatabase(name), { onsuccess: resolve, onerror: reject });
    });
  await each(globalThis.indexedDB?.databases(), ({ name }) => isKept(name) || remove(name));
}

/** @param {IsKept} isKept */
const clearCaches = (isKept) =>
  each(globalThis.caches?.keys(), (name) => isKept(name) || caches.delete(name));

/** @param {(worker: ServiceWorkerRegistration) => unknown} work */
const eachWorker = (work) => each(globalThis.navigator?.serviceWorker?.getRegistrations(), work);

/** @param {ServiceWorkerRegistration} worker */
const unsubscribe = async ({ pushManager }) =>
  (await pushManager?.getSubscription())?.unsubscribe();

/** @param {Pick<Core, "options">} core @returns {Hooks} */
export const siteData = ({ options }) => ({
  steps({ isKept, lost, replaced }) {
    /** @type {Step[]} */
    const all = [
      ["cookies", () => clearCookies(isKept)],
      ["indexedDB", () => clearDatabases(isKept)],
      ["caches", () => clearCaches(isKept)],
      ["push", () => eachWorker(unsubscribe)],
      ["workers", () => lost && eachWorker((worker) => worker.unregister())],
    ];
    return all.slice(0, replaced ? 0 : options.storages && 1);
  },
});
