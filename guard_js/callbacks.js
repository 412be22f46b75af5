/** Functions that an app gives a guard to call. */
import { Backlog } from "./backlog.js";
import { describe } from "./key-sets.js";

const CALLS_PER_TURN = 20;
/** How many calls of one asynchronous function are in progress at the same time. */
export const MAX_UNFINISHED = 100;
/** How many calls that are due are worth a line in the log. */
export const MANY_WAITING = 100_000;

/** Call a function of the app: what it throws, or rejects with, is logged, and harms nothing else.
 * Returns a promise of its end if it is asynchronous.
 * @template T @param {(text: string) => void} log @param {(value: T) => unknown} call
 * @param {T} value @returns {Promise<unknown> | undefined} */
export function callSafely(log, call, value) {
  const report = (/** @type {unknown} */ error) =>
    log(`a function of the app failed: ${describe(error)}`);
  try {
    const result = call(value);
    if (result instanceof Promise) return result.catch(report);
  } catch (error) {
    report(error);
  }
  return undefined;
}

/** Calls a function of the app with each value that is added, in their order: at once, or later if
 * there are more than a few in this turn of the event loop, or too many calls that are asynchronous have
 * not finished. Values that wait are packed.
 * @template T */
export class Calls {
  #log;
  #call;
  /** @type {Backlog<T>} */
  #waiting = new Backlog();
  #unfinished = 0;
  #madeInTurn = 0;
  #hasWarned = false;

  /** @param {(text: string) => void} log @param {(value: T) => unknown} call */
  constructor(log, call) {
    this.#log = log;
    this.#call = call;
  }

  /** How many calls are due. */
  get waiting() {
    return this.#waiting.size;
  }

  /** Have the function called. @param {T} value */
  add(value) {
    this.#waiting.push(value);
    this.#callSome();
    if (this.#waiting.size < MANY_WAITING || this.#hasWarned) return;
    this.#hasWarned = true;
    this.#log(`a function of the app is slow: ${MANY_WAITING} calls are due`);
  }

  /** Call it no more, not even with what waits. */
  stop() {
    this.#waiting = new Backlog();
  }

  #callSome() {
    while (
      this.#waiting.size > 0 &&
      this.#madeInTurn < CALLS_PER_TURN &&
      this.#unfinished < MAX_UNFINISHED
    ) {
      if (this.#madeInTurn === 0) setImmediate(() => this.#beginTurn());
      this.#madeInTurn += 1;
      const end = callSafely(this.#log, this.#call, this.#waiting.shift());
      if (end) this.#await(end);
    }
    if (this.#waiting.size === 0) this.#hasWarned = false;
  }

  #beginTurn() {
    this.#madeInTurn = 0;
    this.#callSome();
  }

  /** @param {Promise<unknown>} end */
  #await(end) {
    this.#unfinished += 1;
    end.finally(() => {
      this.#unfinished -= 1;
      this.#callSome();
    });
  }
}

/** The functions of the app that are called with each value of one kind.
 * @template T */
export class Subscribers {
  #log;
  /** @type {Set<Calls<T>>} */
  #all = new Set();

  /** @param {(text: string) => void} log */
  constructor(log) {
    this.#log = log;
  }

  /** Have a function called from now on.
   * @param {(value: T) => unknown} callback @returns {() => void} unsubscribes */
  add(callback) {
    const calls = new Calls(this.#log, callback); // one each: the same function may subscribe twice
    this.#all.add(calls);
    return () => {
      this.#all.delete(calls);
      calls.stop();
    };
  }

  /** Call those who have subscribed by now, not those who do so meanwhile. @param {T} value */
  tell(value) {
    for (const calls of [...this.#all]) calls.add(value);
  }
}
