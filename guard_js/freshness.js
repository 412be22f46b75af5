/** How much of the log a guard is sure to have heard, and what time it is by the store's clock.
 *
 * The hub confirms that it has sent everything that was written until `elapsed` seconds after it
 * received the request. A guard that sent the request at T, by its own clock, has everything until
 * T + `elapsed`: no delay on the way can make that later. All times are seconds of one monotonic
 * clock, except those of the store.
 */

/** @typedef {{at: number, elapsed: number, late?: Record<string, number>}} Confirmation `at` is the
 *   store's time at `elapsed`; `late` are partitions of which only less is sure */

export class Freshness {
  #heard = Number.NEGATIVE_INFINITY;
  /** @type {Map<number, number>} by partition, where that is another time */
  #late = new Map();
  /** The store's time when the request was received, and when that was by ours: nobody knows exactly.
   */
  #requestAt = Number.NaN;
  #askedAt = 0;
  #receivedBy = 0;

  /** Note a confirmation that was heard at `heardAt`, of the response to a request that was sent at
   * `askedAt`, and had been received by `receivedBy`.
   * @param {Confirmation} confirmation @param {number} askedAt @param {number} receivedBy
   * @param {number} heardAt */
  confirm({ at, elapsed, late = {} }, askedAt, receivedBy, heardAt) {
    // Nothing is known of what is written later, however the clocks may differ.
    const until = (/** @type {number} */ seconds) => Math.min(askedAt + seconds, heardAt);
    const told = new Map(Object.entries(late).map(([name, age]) => [Number(name), until(age)]));
    const general = until(elapsed);
    const heard = Math.max(this.#heard, general);
    /** @type {Map<number, number>} */
    const behind = new Map();
    for (const partition of new Set([...this.#late.keys(), ...told.keys()])) {
      const known = Math.max(this.#heardOf(partition), told.get(partition) ?? general);
      if (known !== heard) behind.set(partition, known);
    }
    this.#heard = heard;
    this.#late = behind;
    this.#requestAt = at - elapsed;
    this.#askedAt = askedAt;
    this.#receivedBy = receivedBy;
  }

  /** Note a logout, written at `at`: the store's clock had come so far when it was heard. So a login
   * that begins now is not mistaken for one that the logout ended. Returns by when the request had
   * been received, after all. @param {number} at @param {number} heardAt */
  hear(at, heardAt) {
    const receivedBy = Math.min(this.#receivedBy, heardAt - (at - this.#requestAt));
    this.#receivedBy = Math.max(receivedBy, this.#askedAt);
    return this.#receivedBy;
  }

  /** For how many seconds there may be logouts of a partition that were not heard; of the worst one
   * if none is named. @param {number} now @param {number} [partition] */
  staleness(now, partition) {
    if (partition !== undefined) return now - this.#heardOf(partition);
    return now - Math.min(this.#heard, ...this.#late.values());
  }

  /** The store's time, in NumericDate seconds: it is not earlier, and hardly later. By it logins are
   * dated. NaN while nothing is known. @param {number} now */
  storeTime(now) {
    return this.#requestAt + (now - this.#receivedBy);
  }

  /** A time that the store's clock has not passed yet: by it tokens end. @param {number} now */
  latestStoreTime(now) {
    return this.#requestAt + (now - this.#askedAt);
  }

  /** The store's time until which all logouts of a partition were heard. @param {number} partition */
  heardUntil(partition) {
    return this.storeTime(this.#heardOf(partition));
  }

  /** @param {number} partition */
  #heardOf(partition) {
    return this.#late.get(partition) ?? this.#heard;
  }
}
