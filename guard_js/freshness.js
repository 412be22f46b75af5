/** How much of the log a guard certainly knows, and what time it is by the store's clock.
 *
 * The hub confirms that it has sent everything that was written until `elapsed` seconds after it
 * received the request. A guard that sent the request at T, by its own clock, has everything until
 * T + `elapsed`: network delay cannot make that later. All times are seconds of one monotonic clock,
 * except those of the store.
 */

/** @typedef {{at: number, elapsed: number, late?: Record<string, number>}} Confirmation `at` is the
 *   store's time at `elapsed`; `late` has the partitions for which `elapsed` is smaller */

export class Freshness {
  #until = Number.NEGATIVE_INFINITY;
  /** @type {Map<number, number>} by partition, where that is another time */
  #late = new Map();
  /** The store's time when the hub received the request. By our clock, that was between `#askedAt`
   * and `#receivedBy`. */
  #requestAt = Number.NaN;
  #askedAt = 0;
  #receivedBy = 0;

  /** Note a confirmation that was read at `readAt`, for a request that was sent at `askedAt`, and that
   * the hub had received by `receivedBy`.
   * @param {Confirmation} confirmation @param {number} askedAt @param {number} receivedBy
   * @param {number} readAt */
  confirm({ at, elapsed, late = {} }, askedAt, receivedBy, readAt) {
    // Nothing written after `readAt` can be known, however the clocks may differ.
    const untilOf = (/** @type {number} */ seconds) => Math.min(askedAt + seconds, readAt);
    const lateUntil = new Map(
      Object.entries(late).map(([name, seconds]) => [Number(name), untilOf(seconds)]),
    );
    const general = untilOf(elapsed);
    const until = Math.max(this.#until, general);
    /** @type {Map<number, number>} */
    const behind = new Map();
    for (const partition of new Set([...this.#late.keys(), ...lateUntil.keys()])) {
      const known = Math.max(this.#knownUntil(partition), lateUntil.get(partition) ?? general);
      if (known !== until) behind.set(partition, known);
    }
    this.#until = until;
    this.#late = behind;
    this.#requestAt = at - elapsed;
    this.#askedAt = askedAt;
    this.#receivedBy = receivedBy;
  }

  /** Note a logout written at `at`: the store's clock had reached that time when it was read. So a
   * login that begins now is not mistaken for one that the logout ended. Returns by when the hub had
   * received the request, which this may prove to be earlier.
   * @param {number} at @param {number} readAt */
  noteLogout(at, readAt) {
    const receivedBy = Math.min(this.#receivedBy, readAt - (at - this.#requestAt));
    this.#receivedBy = Math.max(receivedBy, this.#askedAt);
    return this.#receivedBy;
  }

  /** How many seconds old the knowledge of a partition, or else of the oldest one, is.
   * @param {number} now @param {number} [partition] */
  staleness(now, partition) {
    if (partition !== undefined) return now - this.#knownUntil(partition);
    return now - Math.min(this.#until, ...this.#late.values());
  }

  /** A time that the store's clock has reached, in NumericDate seconds, by which logins are dated. NaN
   * while nothing is known. @param {number} now */
  storeTime(now) {
    return this.#requestAt + (now - this.#receivedBy);
  }

  /** A time that the store's clock has not passed yet, by which tokens expire.
   * @param {number} now */
  latestStoreTime(now) {
    return this.#requestAt + (now - this.#askedAt);
  }

  /** The store's time before which all logouts of a partition are known.
   * @param {number} partition */
  knownUntil(partition) {
    return this.storeTime(this.#knownUntil(partition));
  }

  /** @param {number} partition */
  #knownUntil(partition) {
    return this.#late.get(partition) ?? this.#until;
  }
}
