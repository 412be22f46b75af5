/** Sessions that somebody waits for the end of: a socket, a stream, a long job. */
import { HubError } from "./errors.js";
import { micros } from "./names.js";
import { begun, judge, newest } from "./verdict.js";

/** @typedef {import("./revocations.js").Place} Place */
/** @typedef {import("./revocations.js").Revocation} Revocation */
/** @typedef {import("./verdict.js").Fact} Fact */
/** @typedef {import("./verdict.js").Facts} Facts */
/** @typedef {import("./verdict.js").Identity} Identity */

/** Why a session ended; `at` is in NumericDate seconds.
 * @typedef {Pick<Revocation, "scope" | "reason" | "at"> & Partial<Revocation>} Ending */

/** The close code of a WebSocket whose session ended. */
export const CLOSE_CODE = 4401;

export class Watch {
  #controller = new AbortController();
  #onDone;
  /** @type {(ending: Ending | undefined) => void} */
  #resolve = () => undefined;

  /** Resolves when the session has ended, with why; or with undefined once `cancel` is called. */
  ended;

  /** @param {() => void} onDone */
  constructor(onDone) {
    this.#onDone = onDone;
    this.ended = /** @type {Promise<Ending | undefined>} */ (
      new Promise((resolve) => {
        this.#resolve = resolve;
      })
    );
  }

  /** Is aborted when the session ends, by a HubError with the code `token_revoked`. */
  get signal() {
    return this.#controller.signal;
  }

  /** Wait no longer. */
  cancel() {
    this.#onDone();
    this.#resolve(undefined);
  }

  /** @param {Ending} ending @param {Fact} logout */
  end(ending, logout) {
    this.#onDone();
    this.#resolve(ending);
    this.#controller.abort(new HubError("token_revoked", "", { logout }));
  }
}

/** @typedef {{watch: Watch, place: Place, identity: Identity | undefined, since: number}} Entry */

/** All watches of a guard. `factsOf` gives what is known of a session. */
export class Watches {
  #factsOf;
  /** @type {Map<string, Set<Entry>>} by user */
  #entries = new Map();

  /** @param {(place: Place) => Facts} factsOf */
  constructor(factsOf) {
    this.#factsOf = factsOf;
  }

  /** How many sessions are watched. */
  get size() {
    let size = 0;
    for (const entries of this.#entries.values()) size += entries.size;
    return size;
  }

  /** Watch a session. If it is not known when it began, `identity` is missing: whatever ends sessions
   * after `since`, in microseconds of the store, ends this one.
   * @param {Place} place @param {number} since @param {Identity} [identity] */
  add(place, since, identity) {
    const watch = new Watch(() => this.#remove(entry));
    /** @type {Entry} */
    const entry = { watch, place, identity, since };
    const entries = this.#entries.get(place.userKey) ?? new Set();
    this.#entries.set(place.userKey, entries.add(entry));
    this.#check(entry);
    return watch;
  }

  /** End the watches whose sessions have ended: those of one user, or all.
   * @param {string} [userKey] @param {Revocation} [told] the logout that was just heard */
  check(userKey, told) {
    const sets = userKey === undefined ? this.#entries.values() : [this.#entries.get(userKey)];
    for (const entries of [...sets])
      for (const entry of [...(entries ?? [])]) this.#check(entry, told);
  }

  /** @param {Entry} entry @param {Revocation} [told] */
  #check(entry, told) {
    const fact = findEnd(entry, this.#factsOf(entry.place));
    if (!fact) return;
    const { scope = "session", reason = "policy", at } = fact;
    const isTold = told && micros(told.at) === at;
    entry.watch.end(isTold ? told : { scope, reason, at: at / 1e6 }, fact);
  }

  /** @param {Entry} entry */
  #remove(entry) {
    const entries = this.#entries.get(entry.place.userKey);
    entries?.delete(entry);
    if (entries?.size === 0) this.#entries.delete(entry.place.userKey);
  }
}

/** The logout that ended a session, if one did.
 *
 * What was known when the watch began was judged then. What was written since ends the session
 * unless that began later: its being in use proves that it is older, where times leave it open.
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
