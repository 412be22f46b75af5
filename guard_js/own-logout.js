/** Knows which requests have ended their own session: their responses are not cut, but finished. */
import { AsyncLocalStorage } from "node:async_hooks";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {import("./verdict.js").Identity} Identity */

/** What the request that is being answered has ended.
 * @type {AsyncLocalStorage<Set<string>>} */
const current = new AsyncLocalStorage();

/** The sessions that each request has ended: one set, also if middleware is used twice.
 * @type {WeakMap<IncomingMessage, Set<string>>} */
const ended = new WeakMap();

/** @param {Pick<Identity, "userKey" | "sid">} session */
const nameOf = ({ userKey, sid }) => `${userKey} ${sid}`;

/** Call a function that answers a request. @param {IncomingMessage} request @param {() => void} call */
export function answering(request, call) {
  const own = ended.get(request) ?? new Set();
  ended.set(request, own);
  current.run(own, call);
}

/** Note that the request that is being answered, if there is one, ends a session; to be called before the
 * hub hears of it. @param {Pick<Identity, "userKey" | "sid">} session */
export const noteEnd = (session) => current.getStore()?.add(nameOf(session));

/** Whether a request has ended this session.
 * @param {IncomingMessage} request @param {Pick<Identity, "userKey" | "sid">} session */
export const hasEnded = (request, session) => ended.get(request)?.has(nameOf(session)) ?? false;
