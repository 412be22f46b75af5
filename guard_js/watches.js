/** The sessions that an app watches, to learn when they end: for a socket, a stream, a long job. */
import { callSafely } from "./callbacks.js";
import { HubError } from "./errors.js";
import { micros } from "./names.js";
import { begun, judge, newest } from "./verdict.js";

/** @typedef {import("./revocations.js").Names} Names */
/** @typedef {import("./revocations.js").Revocation} Revocation */
/** @typedef {import("./verdict.js").Fact} Fact */
/** @typedef {import("./verdict.js").Facts} Facts */
/** @typedef {import("./verdict.js").Identity} Identity */

/** Why a session ended; `at` is in NumericDate seconds.
 * @typedef {Pick<Revocation, "scope" | "reason" | "at"> & Partial<Revocation>} Ending */

/** The close code of a WebSocket whose session ended. */
export const CLOSE_CODE = 4401;

export class Watch {
  #onDone;
  #log;
  /** @type {Set<(ending: Ending | undefined) => unknown>} */
  #waiting = new Set();
  /** @type {Ending | undefined} */
  #ending;
  #isDone = false;
  /** @type {Promise<Ending | undefined> | undefined} */
  #promise;
  /** @type {AbortController | undefined} */
  #controller;

  /** @param {() => void} onDone @param {(text: string) => void} log */
  constructor(onDone, log) {
    this.#onDone = onDone;
    this.#log = log;
  }

  /** Resolves to why the session ended, when it has; or to undefined once `cancel` is called.
   * @returns {Promise<Ending | undefined>} */
  get ended() {
    // One for all: who asks again and again must not leave something behind each time.
    this.#promise ??= new Promise((resolve) => {
      if (this.#isDone) resolve(this.#ending);
      else this.#waiting.add(resolve);
    });
    return this.#promise;
  }

  /** A signal that is aborted when the session ends, with a HubError `token_revoked`. */
  get signal() {
    if (!this.#controller) {
      const controller = new AbortController();
      this.#controller = controller;
      this.onEnd(({ scope, reason, at }) => {
        const logout = { horizon: at * 1e6, at: at * 1e6, scope, reason };
        controller.abort(new HubError("token_revoked", "", { logout }));
      });
    }
    return this.#controller.signal;
  }

  /** Call a function, asynchronous or not, when the session ends, or at once if it has ended. What it
   * throws is logged. @param {(ending: Ending) => unknown} callback */
  onEnd(callback) {
    if (this.#ending) callSafely(this.#log, callback, this.#ending);
    else if (!this.#isDone) this.#waiting.add((ending) => ending && callback(ending));
  }

  /** Stop watching. */
  cancel = () => this.finish(undefined);

  /** Call everything that waits; for the guard's own use. @param {Ending | undefined} ending */
  finish(ending) {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#ending = ending;
    this.#onDone();
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const callback of waiting) queueMicrotask(() => callSafely(this.#log, callback, ending));
  }
}

/** @typedef {{watch: Watch, names: Names, identity: Identity | undefined, since: number}} Entry */

/** All watches of a guard. `factsOf` returns what is known of a session. */
export class Watches {
  #factsOf;
  #log;
  /** @type {Map<string, Set<Entry>>} by user */
  #entries = new Map();

  /** @param {(names: Names) => Facts} factsOf @param {(text: string) => void} log */
  constructor(factsOf, log) {
    this.#factsOf = factsOf;
    this.#log = log;
  }

  /** How many sessions are watched. */
  get size() {
    let size = 0;
    for (const entries of this.#entries.values()) size += entries.size;
    return size;
  }

  /** Watch a session. If its login time is unknown, `identity` is missing, and any logout written after
   * `since` (the store's time in microseconds) ends it.
   * @param {Names} names @param {number} since @param {Identity} [identity] */
  add(names, since, identity) {
    const watch = new Watch(() => this.#remove(entry), this.#log);
    const { tombstone, cutoffs } = this.#factsOf(names);
    // Facts that are already known were judged too, even if they are not confirmed yet.
    const known = Math.max(since, tombstone?.at ?? since, newest(cutoffs)?.at ?? since);
    /** @type {Entry} */
    const entry = { watch, names, identity, since: known };
    const entries = this.#entries.get(names.userKey) ?? new Set();
    this.#entries.set(names.userKey, entries.add(entry));
    this.#check(entry);
    return watch;
  }

  /** End the watches whose sessions have ended, for one user or for all.
   * @param {string} [userKey] @param {Revocation} [latest] the logout that has just arrived */
  check(userKey, latest) {
    const sets = userKey === undefined ? this.#entries.values() : [this.#entries.get(userKey)];
    for (const entries of [...sets])
      for (const entry of [...(entries ?? [])]) this.#check(entry, latest);
  }

  /** @param {Entry} entry @param {Revocation} [latest] */
  #check(entry, latest) {
    const fact = findEnd(entry, this.#factsOf(entry.names));
    if (!fact) return;
    const { scope = "session", reason = "policy", at } = fact;
    const isLatest = latest && micros(latest.at) === at;
    entry.watch.finish(isLatest ? latest : { scope, reason, at: at / 1e6 });
  }

  /** @param {Entry} entry */
  #remove(entry) {
    const entries = this.#entries.get(entry.names.userKey);
    entries?.delete(entry);
    if (entries?.size === 0) this.#entries.delete(entry.names.userKey);
  }
}

/** The logout that ended a session, if one did.
 *
 * Facts that were known when the watch began were judged then. A logout written since ends the
 * session unless its login began later; if times in whole seconds leave that open, the session is
 * older, since it was already in use.
 * @param {Entry} entry @param {Facts} facts @returns {Fact | undefined} */
function findEnd({ identity, since }, { tombstone, cutoffs }) {
  const cutoff = newest(cutoffs);
  for (const fact of [tombstone, cutoff]) {
    if (!fact || fact.at <= since) continue;
    if (!identity || begun(identity) <= fact.horizon) return fact;
    if (fact === tombstone && identity.loginAt === undefined) return fact;
  }
  if (!identity) return tombstone;
  const forever = { ...identity, exp: Number.POSITIVE_INFINITY, nbf: 0 };
  const refusal = judge(forever, { tombstone, cutoffs }, Math.max(0, since));
  const isCertain = refusal?.code === "token_revoked" || refusal?.code === "login_required";
  return isCertain ? refusal.logout : undefined;
}
