/** How much of the log a guard is sure to have heard, and what time it is by the store's clock.
 *
 * The hub confirms that it has sent everything that was written until `elapsed` seconds after it
 * received the request. A guard that sent the request at T, by its own clock, has everything until
 * T + `elapsed`: no delay on the way can make that later. All times are seconds of one monotonic
 * clock, except those of the store.
 */

/** @typedef {{at: number, elapsed: number, late?: Record<string, number>}} Confirmation `at` is the
 *   store's time at `elapsed`; `late` are partitions of which only less is sure */

/** How far two clocks drift apart at most, in seconds a second. */
const DRIFT = 0.001;

export class Freshness {
  #heard = Number.NEGATIVE_INFINITY;
  /** @type {Map<number, number>} by partition, where that is another time */
  #late = new Map();
  /** How far the store's clock is ahead of ours: at least, and at most. */
  #ahead = { least: Number.NaN, most: Number.NaN };
  #confirmed = 0;

  /** Note a confirmation: it can only make more sure.
   * @param {number} sent when the request was sent @param {Confirmation} confirmation
   * @param {number} received when the confirmation came */
  confirm(sent, { at, elapsed, late = {} }, received) {
    // It cannot be about the future, whatever the clocks of the replica do.
    const until = (/** @type {number} */ seconds) => Math.min(sent + seconds, received);
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
    // Nobody knows how long the request and the event were on their way. What was known better
    // before is kept, as far as the clocks cannot have drifted apart since.
    const { least } = this.#ahead;
    const drift = (received - this.#confirmed) * DRIFT;
    this.#ahead = { least: at - received, most: at - general };
    if (least - drift > this.#ahead.least)
      this.#ahead.least = Math.min(least - drift, at - general);
    this.#confirmed = received;
  }

  /** Note a logout, written at `at`: the store's clock had come so far when it was heard. So a login
   * that begins now is not mistaken for one that the logout ended.
   * @param {number} at @param {number} received */
  hear(at, received) {
    const least = Math.min(at - received, this.#ahead.most);
    if (least > this.#ahead.least) this.#ahead.least = least;
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
    return now + this.#ahead.least;
  }

  /** A time that the store's clock has not passed yet: by it tokens end. @param {number} now */
  latestStoreTime(now) {
    return now + this.#ahead.most;
  }

  /** The store's time until which all logouts of a partition were heard. @param {number} partition */
  heardUntil(partition) {
    return this.#heardOf(partition) + this.#ahead.least;
  }

  /** @param {number} partition */
  #heardOf(partition) {
    return this.#late.get(partition) ?? this.#heard;
  }
}
