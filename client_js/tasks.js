/** Work that may fail, may never end, or is to come later; and how long each wait is. */

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

/** The app's own mistakes must not stop us, nor go unseen. The work begins at once.
 * @param {() => unknown} work @param {unknown} [otherwise] what a failure gives
 * @returns {Promise<any>} what the work gives */
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

/** Who asks while the work is under way shares it. @template T @param {() => Promise<T>} work
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

/** Does one thing later; starting it anew forgets what it was to do. */
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
