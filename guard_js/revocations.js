/** The revocations in force, by which a guard judges.
 *
 * They are only ever added: applying one twice, or in another order, leads to the same verdicts.
 * Nearly all are kept in one table of instants: for a session that was ended by name
 * (`issuer|user sid`, or `issuer sid` for any user) and for a user whose sessions were all ended
 * (`issuer|user`). The names are escaped, so that the three cannot be confused.
 */
import { Instants } from "./instants.js";
import { keyedHash } from "./keyed-hash.js";
import { crc32, micros, quote, userKey } from "./names.js";
import { REASONS, SCOPES } from "./verdict.js";

/** @typedef {import("./keyed-hash.js").Hash} Hash */
/** @typedef {import("./verdict.js").Fact} Fact */
/** @typedef {import("./verdict.js").Facts} Facts */
/** @typedef {import("./verdict.js").Identity} Identity */
/** @typedef {import("./verdict.js").Reason} Reason */
/** @typedef {import("./verdict.js").Scope} Scope */

/** A logout as the feed sends it; times are NumericDate seconds. `user` is missing if it ends the
 * sessions of everyone in `partition` or, with scope `session`, the session `sid` of that issuer.
 * @typedef {{scope: Scope, reason: Reason, at: number, iss?: string, user?: string | null,
 *   sid?: string | null, sessions?: string[], before?: number | null, partition?: number | null,
 *   id?: string, message?: string | null, by?: string | null, profile?: string | null}} Revocation */

/** The keys under which the facts about a session are found.
 * @typedef {{sid: string, userKey: string, crc: number, userSession: Hash, issuerSession: Hash, user: Hash}} Names */

/** The key of a logout of everyone that names no partition. */
const EVERY_PARTITION = -1;

/** Hashes are the same for the whole process, so that names can be cached. */
const hash = keyedHash();

/** The keys under which the facts about a session are found. @param {Pick<Identity, "iss" | "userKey" | "sid">} identity
 * @returns {Names} */
export function namesOf({ iss, userKey: key, sid }) {
  return {
    sid,
    userKey: key,
    crc: crc32(key),
    userSession: hash(`${key} ${sid}`),
    issuerSession: hash(`${quote(iss)} ${sid}`),
    user: hash(key),
  };
}

export class Revocations {
  #instants = new Instants();
  /** Cut-offs of scope `others`, by user: the newest, and the one that ended the session it keeps.
   * @type {Map<string, readonly Fact[]>} */
  #others = new Map();
  /** Cut-offs of everyone, by partition. @type {Map<number, readonly Fact[]>} */
  #everyone = new Map();
  /** What was written before then is forgotten, though it may still take room. */
  #oldest = Number.NEGATIVE_INFINITY;

  /** How many revocations are in force. */
  get size() {
    return this.#instants.size + this.#others.size + this.#everyone.size;
  }

  /** Add a logout; returns whether it was not known before. @param {Revocation} one */
  apply(one) {
    const fact = readFact(one);
    const iss = one.iss ?? "";
    if (one.user === undefined || one.user === null) {
      if (one.scope === "session") return this.#keep(`${quote(iss)} ${one.sid}`, fact);
      return addCutoff(this.#everyone, one.partition ?? EVERY_PARTITION, fact);
    }
    const key = userKey(iss, one.user);
    let isNews = false;
    for (const sid of one.sessions ?? []) isNews = this.#keep(`${key} ${sid}`, fact) || isNews;
    if (one.scope === "session") return this.#keep(`${key} ${one.sid}`, fact) || isNews;
    if (one.scope === "all") return this.#keep(key, fact) || isNews;
    return addCutoff(this.#others, key, fact) || isNews;
  }

  /** What is known of a session. @param {Names} names @param {number} partition
   * @returns {Facts} */
  facts(names, partition) {
    const ofUser = this.#get(names.userSession);
    const ofIssuer = this.#get(names.issuerSession);
    const cutoff = this.#get(names.user);
    const others = this.#others.get(names.userKey);
    const everyone = this.#everyone.get(partition);
    const everywhere = this.#everyone.get(EVERY_PARTITION);
    const tombstone =
      ofUser && ofIssuer && ofIssuer.horizon > ofUser.horizon ? ofIssuer : (ofUser ?? ofIssuer);
    if (!others && !everyone && !everywhere)
      return { tombstone, cutoffs: cutoff ? [cutoff] : NONE };
    const cutoffs = [...(others ?? NONE), ...(everyone ?? NONE), ...(everywhere ?? NONE)].filter(
      (fact) => fact.scope !== "others" || fact.sid !== names.sid,
    );
    if (cutoff) cutoffs.push(cutoff);
    return { tombstone, cutoffs };
  }

  /** Apply logouts of one partition's users to everyone, since partitions are renumbered. */
  forgetPartitions() {
    const facts = [...this.#everyone.values()].flat();
    /** @type {readonly Fact[]} */
    let newest = NONE;
    for (const fact of facts) newest = supersede(fact, newest);
    this.#everyone = facts.length > 0 ? new Map([[EVERY_PARTITION, newest]]) : new Map();
  }

  /** Forget what was written before `oldest`, in microseconds. @param {number} oldest */
  forget(oldest) {
    this.#oldest = oldest;
    this.#instants.drop(oldest);
    forgetIn(this.#others, oldest);
    forgetIn(this.#everyone, oldest);
  }

  /** @param {string} name @param {Fact} fact */
  #keep(name, { horizon, at, reason, scope }) {
    const tag = REASONS.indexOf(/** @type {Reason} */ (reason)) + 1;
    const kind = SCOPES.indexOf(/** @type {Scope} */ (scope)) + 1;
    return this.#instants.keep(hash(name), horizon, at, tag * 4 + kind);
  }

  /** @param {Hash} name @returns {Fact | undefined} */
  #get(name) {
    const found = this.#instants.get(name);
    if (!found || found.at < this.#oldest) return undefined;
    const { horizon, at, tag } = found;
    return { horizon, at, reason: REASONS[(tag >> 2) - 1], scope: SCOPES[(tag & 3) - 1] };
  }
}

/** @type {readonly Fact[]} */
const NONE = Object.freeze([]);

/** @param {Revocation} one @returns {Fact} */
function readFact({ scope, reason, at, before, sid }) {
  const written = micros(at);
  const horizon = before === undefined || before === null ? written : micros(before);
  return { horizon, at: written, scope, reason, sid: sid ?? undefined };
}

/** The cut-offs to store: the newest, and the newest one that ended the session which that keeps.
 * @param {Fact} cutoff @param {readonly Fact[]} [older] @returns {readonly Fact[]} */
function supersede(cutoff, older = NONE) {
  const [first, ...others] = [cutoff, ...older].sort(
    (a, b) => b.horizon - a.horizon || b.at - a.at,
  );
  if (first.scope !== "others") return [first];
  const kept = others.find((one) => one.scope !== "others" || one.sid !== first.sid);
  return kept ? [first, kept] : [first];
}

/** Add a cut-off; returns whether it was not known before.
 * @template K @param {Map<K, readonly Fact[]>} facts @param {K} key @param {Fact} cutoff */
function addCutoff(facts, key, cutoff) {
  const older = facts.get(key) ?? NONE;
  const kept = supersede(cutoff, older);
  facts.set(key, kept);
  const isOlder = older.some(({ at, horizon }) => at === cutoff.at && horizon === cutoff.horizon);
  return kept.includes(cutoff) && !isOlder;
}

/** @template K @param {Map<K, readonly Fact[]>} facts @param {number} oldest */
function forgetIn(facts, oldest) {
  for (const [key, kept] of facts) {
    const rest = kept.filter(({ at }) => at >= oldest);
    if (rest.length === 0) facts.delete(key);
    else if (rest.length < kept.length) facts.set(key, rest);
  }
}
