/** What the feed of a hub has said so far: the revocations, and how fresh they are.
 *
 * Facts are only ever added: each takes effect at once, and those from before a `reset` are kept,
 * since the replica that sends it may know less than the previous one. Freshness and the position to
 * resume from only count once all facts have arrived (`ready`).
 */
import { Freshness } from "./freshness.js";
import { Revocations } from "./revocations.js";
import { REASONS, SCOPES } from "./verdict.js";

/** @typedef {import("./events.js").Event} Event */
/** @typedef {import("./freshness.js").Confirmation} Confirmation */
/** @typedef {import("./revocations.js").Revocation} Revocation */

/** What an event brought: a logout, the end of a complete snapshot, a confirmation, or a reset; or
 * logouts that a guard which had been ready has `missed`.
 * @typedef {{logout?: Revocation, missed?: Revocation[], isReady?: boolean, isConfirmed?: boolean,
 *   isReset?: boolean}} Update */

const MAX_ID = 1024;
/** How often facts older than `lifetime` are dropped, in seconds. */
const SWEEP_EVERY = 3600;

export class FeedState {
  revocations = new Revocations();
  freshness = new Freshness();
  isReady = false;
  partitions = 1;
  /** How many seconds a logout is remembered. */
  lifetime = Number.POSITIVE_INFINITY;
  /** Whether everything before this point of the feed is known, so that confirmations count. */
  #isWhole = false;
  #askedAt = 0;
  #receivedBy = 0;
  /** Whether this response has confirmed anything. */
  #isConfirmed = false;
  #lastId = "";
  #sweepAt = 0;

  /** The `Last-Event-ID` for a request sent at `askedAt`, or "". Take `askedAt` before sending: the
   * response may lack what is written after that. @param {number} askedAt */
  begin(askedAt) {
    this.#askedAt = askedAt;
    this.#receivedBy = Number.POSITIVE_INFINITY;
    this.#isConfirmed = false;
    this.#isWhole = this.#lastId !== "";
    return this.#lastId;
  }

  /** Note that the response to the request has begun. @param {number} now */
  answer(now) {
    this.#receivedBy = now;
  }

  /** Apply an event, and return what it brought; throws an Error if it cannot be understood.
   * @param {Event} event @param {number} now when it was read @returns {Update} */
  take({ type, data, id }, now) {
    switch (type) {
      case "snapshot": {
        const news = listOf(JSON.parse(data)).filter((one) => this.revocations.apply(one));
        return this.isReady ? { missed: news } : {};
      }
      case "logout": {
        const logout = checkRevocation(JSON.parse(data));
        this.revocations.apply(logout);
        if (this.#isConfirmed) this.#receivedBy = this.freshness.noteLogout(logout.at, now);
        this.#resumeFrom(id);
        return { logout };
      }
      case "ready":
        return this.#beReady(checkConfirmation(JSON.parse(data)), id, now);
      case "confirmed":
        if (!this.#isWhole) return {};
        this.#confirm(checkConfirmation(JSON.parse(data)), now);
        this.#resumeFrom(id);
        return { isConfirmed: true };
      case "reset":
        this.#isWhole = false;
        this.#lastId = "";
        return { isReset: true };
    }
    return {};
  }

  /** @param {any} ready @param {string} id @param {number} now @returns {Update} */
  #beReady(ready, id, now) {
    if (!(Number.isInteger(ready.partitions) && ready.partitions >= 1 && ready.lifetime >= 1))
      throw new Error("ready: partitions and lifetime must be at least 1");
    if (this.isReady && ready.partitions !== this.partitions) this.revocations.forgetPartitions();
    // After a reset, this may be another store with another clock.
    if (!this.#isWhole) this.freshness = new Freshness();
    this.#isWhole = true;
    this.partitions = ready.partitions;
    this.lifetime = ready.lifetime;
    this.isReady = true;
    this.#confirm(ready, now);
    this.#resumeFrom(id);
    return { isReady: true };
  }

  /** @param {Confirmation} confirmation @param {number} now */
  #confirm(confirmation, now) {
    const { at, elapsed } = confirmation;
    // The hub had received the request at least `elapsed` seconds before this arrived.
    this.#receivedBy = Math.min(this.#receivedBy, now - elapsed);
    this.freshness.confirm(confirmation, this.#askedAt, this.#receivedBy, now);
    this.#isConfirmed = true;
    if (at < this.#sweepAt) return;
    this.#sweepAt = at + SWEEP_EVERY;
    this.revocations.forget((at - this.lifetime) * 1e6);
  }

  /** @param {string} id */
  #resumeFrom(id) {
    if (this.#isWhole && id.length <= MAX_ID && /^[\x21-\x7e]*$/.test(id)) this.#lastId = id;
  }
}

/** @param {any} snapshot @returns {Revocation[]} */
function listOf(snapshot) {
  if (!Array.isArray(snapshot?.revocations)) throw new Error("snapshot: revocations is not a list");
  return snapshot.revocations.map(checkRevocation);
}

/** A logout that the guard does not understand must not be ignored: somebody was logged out.
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
  if (!isGood) throw new Error("a logout has a form that this guard does not know");
  // A reason of a newer hub must neither stop the feed nor reach code that knows only these.
  return REASONS.includes(one.reason) ? one : { ...one, reason: "policy" };
}

/** @param {any} confirmation @returns {any} */
function checkConfirmation(confirmation) {
  const isGood =
    Number.isFinite(confirmation?.at) &&
    Number.isFinite(confirmation.elapsed) &&
    Object.values(confirmation.late ?? {}).every(Number.isFinite);
  if (!isGood) throw new Error("a confirmation has a form that this guard does not know");
  return confirmation;
}

/** @param {unknown} text */
const isText = (text) => typeof text === "string";
