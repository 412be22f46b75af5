/** Clears what the browser keeps for a site beside the web storages. */
/** @import { IsKept, Step } from "./clearing.js" */
/** @import { Core, Part } from "./core.js" */

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

/** @param {Pick<Core, "options">} core @returns {Part} */
export const siteData = ({ options }) => ({
  steps({ isKept, lost, taken }) {
    if (taken) return [];
    /** @type {Step[]} */
    const all = [
      ["cookies", () => clearCookies(isKept)],
      ["indexedDB", () => clearDatabases(isKept)],
      ["caches", () => clearCaches(isKept)],
      ["push", () => eachWorker(unsubscribe)],
      ["workers", () => lost && eachWorker((worker) => worker.unregister())],
    ];
    return options.storages ? all.slice(0, 1) : all;
  },
});
