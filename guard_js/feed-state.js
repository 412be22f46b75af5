/** What the feed of a hub has said so far: the revocations, and how fresh they are.
 *
 * Facts only ever add up: each counts at once, and those from before a `reset` stay, since the replica
 * that sends it may know less than the one before. How fresh the facts are, and from where to go on,
 * counts once all have come (`ready`).
 */
import { Freshness } from "./freshness.js";
import { Revocations } from "./revocations.js";
import { REASONS, SCOPES } from "./verdict.js";

/** @typedef {import("./events.js").Event} Event */
/** @typedef {import("./freshness.js").Confirmation} Confirmation */
/** @typedef {import("./revocations.js").Revocation} Revocation */

/** What an event told: a logout; that everything is known; that it is known until some instant; that it
 * follows anew.
 * @typedef {{logout?: Revocation, isReady?: boolean, isConfirmed?: boolean, isReset?: boolean}} Heard */

const MAX_ID = 1024;
/** How often facts that nobody remembers any longer are dropped, in seconds. */
const SWEEP_EVERY = 3600;

export class FeedState {
  revocations = new Revocations();
  freshness = new Freshness();
  isReady = false;
  partitions = 1;
  /** For how many seconds a logout is remembered. */
  lifetime = Number.POSITIVE_INFINITY;
  /** Whether what came before is known, so that the next confirmation is of all. */
  #isWhole = false;
  #askedAt = 0;
  #receivedBy = 0;
  /** Whether this response has confirmed something. */
  #isConfirmed = false;
  #lastId = "";
  #sweepAt = 0;

  /** The `Last-Event-ID` of a request that is sent at `askedAt`, or "". Call it before that is sent:
   * what is written afterwards may be missing. @param {number} askedAt */
  begin(askedAt) {
    this.#askedAt = askedAt;
    this.#receivedBy = Number.POSITIVE_INFINITY;
    this.#isConfirmed = false;
    this.#isWhole = this.#lastId !== "";
    return this.#lastId;
  }

  /** Note that the response to the request had begun. @param {number} now */
  answer(now) {
    this.#receivedBy = now;
  }

  /** Do what an event says; throws an Error if that cannot be understood.
   * @param {Event} event @param {number} now when it came @returns {Heard} */
  take({ type, data, id }, now) {
    switch (type) {
      case "snapshot":
        for (const one of listOf(JSON.parse(data))) this.revocations.apply(one);
        return {};
      case "logout": {
        const logout = checkRevocation(JSON.parse(data));
        this.revocations.apply(logout);
        if (this.#isConfirmed) this.#receivedBy = this.freshness.hear(logout.at, now);
        this.#goOnFrom(id);
        return { logout };
      }
      case "ready":
        return this.#beReady(checkConfirmation(JSON.parse(data)), id, now);
      case "confirmed":
        if (!this.#isWhole) return {};
        this.#confirm(checkConfirmation(JSON.parse(data)), now);
        this.#goOnFrom(id);
        return { isConfirmed: true };
      case "reset":
        this.#isWhole = false;
        this.#lastId = "";
        return { isReset: true };
    }
    return {};
  }

  /** @param {any} told @param {string} id @param {number} now @returns {Heard} */
  #beReady(told, id, now) {
    if (!(Number.isInteger(told.partitions) && told.partitions >= 1 && told.lifetime >= 1))
      throw new Error("ready: partitions and lifetime are whole numbers of at least 1");
    if (this.isReady && told.partitions !== this.partitions) this.revocations.forgetPartitions();
    // What is heard anew may be of another store, with another clock.
    if (!this.#isWhole) this.freshness = new Freshness();
    this.#isWhole = true;
    this.partitions = told.partitions;
    this.lifetime = told.lifetime;
    this.isReady = true;
    this.#confirm(told, now);
    this.#goOnFrom(id);
    return { isReady: true };
  }

  /** @param {Confirmation} told @param {number} now */
  #confirm(told, now) {
    // The hub had received the request `elapsed` seconds before it said so, at the latest.
    this.#receivedBy = Math.min(this.#receivedBy, now - told.elapsed);
    this.freshness.confirm(told, this.#askedAt, this.#receivedBy, now);
    this.#isConfirmed = true;
    if (told.at < this.#sweepAt) return;
    this.#sweepAt = told.at + SWEEP_EVERY;
    this.revocations.forget((told.at - this.lifetime) * 1e6);
  }

  /** @param {string} id */
  #goOnFrom(id) {
    if (this.#isWhole && id.length <= MAX_ID && /^[\x21-\x7e]*$/.test(id)) this.#lastId = id;
  }
}

/** @param {any} told @returns {Revocation[]} */
function listOf(told) {
  if (!Array.isArray(told?.revocations)) throw new Error("snapshot: revocations is no list");
  return told.revocations.map(checkRevocation);
}

/** What a guard does not understand must not be passed over: somebody was logged out.
 * @param {any} one @returns {Revocation} */
function checkRevocation(one) {
  const isGood =
    SCOPES.includes(one?.scope) &&
    typeof one.at === "number" &&
    isText(one.iss ?? "") &&
    isText(one.user ?? "") &&
    isText(one.sid ?? (one.scope === "all" ? "" : undefined)) &&
    Number.isFinite(one.before ?? 0) &&
    Number.isInteger(one.partition ?? 0) &&
    Array.isArray(one.sessions ?? []) &&
    (one.sessions ?? []).every(isText);
  if (!isGood) throw new Error("a logout is not of the form that this guard knows");
  // A reason that a newer hub knows must not stop the feed, nor reach who knows these only.
  return REASONS.includes(one.reason) ? one : { ...one, reason: "policy" };
}

/** @param {any} told @returns {any} */
function checkConfirmation(told) {
  const isGood =
    Number.isFinite(told?.at) &&
    Number.isFinite(told.elapsed) &&
    Object.values(told.late ?? {}).every(Number.isFinite);
  if (!isGood) throw new Error("a confirmation is not of the form that this guard knows");
  return told;
}

/** @param {unknown} text */
const isText = (text) => typeof text === "string";
