/** Functions that an app gives a guard to call. */
import { describe } from "./key-sets.js";

/** Call a function of the app: what it throws, or rejects with, is logged, and harms nothing else.
 * @template T @param {(text: string) => void} log @param {(value: T) => unknown} call
 * @param {T} value */
export function callSafely(log, call, value) {
  const report = (/** @type {unknown} */ error) =>
    log(`a function of the app failed: ${describe(error)}`);
  try {
    const result = call(value);
    if (result instanceof Promise) result.catch(report);
  } catch (error) {
    report(error);
  }
}
