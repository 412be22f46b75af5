/** Helpers for work that may fail, never end or happen later, and the times of all waits. */

/** In milliseconds. An object, so that tests need not wait as long; no page can reach it. */
export const TIMING = {
  accept: 8_000,
  answer: 5_000,
  hook: 1_500,
  poll: 5_000,
  retry: 30_000,
};

/** @param {number} ms a mean, so that many clients do not come at the same moment */
export const around = (ms) => ms * (0.75 + Math.random() / 2);

/** Exponential, with full jitter. @param {number} attempt from 0 @param {number} [chance] 0 to 1 */
export const backoffDelay = (attempt, chance = Math.random()) =>
  chance * Math.min(10_000, 500 * 2 ** attempt);

/** Errors in the app's functions are reported, and do not stop the client. The work begins at once.
 * @param {() => unknown} work @param {unknown} [otherwise] the result after a failure
 * @returns {Promise<any>} the result of the work */
export async function safely(work, otherwise) {
  try {
    return await work();
  } catch (error) {
    console.error(error);
    return otherwise;
  }
}

/** @template T @param {number} ms @param {() => T | Promise<T>} work @returns {Promise<T>} */
export function within(ms, work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, ms, Error("no answer"));
    const settled = Promise.resolve().then(work).then(resolve, reject);
    settled.finally(() => clearTimeout(timer));
  });
}

/** Calls while the work is in progress share its result. @template T @param {() => Promise<T>} work
 * @returns {() => Promise<T>} */
export function shared(work) {
  let /** @type {Promise<T> | undefined} */ running;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}

/** A timer for one callback; starting it again replaces the callback. */
export function createTimer() {
  let /** @type {ReturnType<typeof setTimeout> | undefined} */ timer;
  const stop = () => clearTimeout(timer);
  /** @param {number} ms @param {() => unknown} work */
  const start = (ms, work) => {
    stop();
    timer = setTimeout(work, ms);
  };
  return { start, stop };
}
