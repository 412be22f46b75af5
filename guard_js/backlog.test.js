/** What waits for an app's functions: all of it, in order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backlog, PACK } from "./backlog.js";
import { Calls, MANY_WAITING, MAX_UNFINISHED } from "./callbacks.js";
import { until } from "./support.js";

test("values come out in the order in which they went in, also if some do meanwhile", () => {
  for (const count of [0, 1, PACK - 1, PACK, PACK + 1, 5 * PACK + 7])
    for (const takenBetween of [0, 1, 3]) {
      /** @type {Backlog<{n: number}>} */
      const backlog = new Backlog();
      const taken = [];
      for (let n = 0; n < count; n += 1) {
        backlog.push({ n });
        for (let one = 0; n % 5 === 0 && one < takenBetween && backlog.size > 0; one += 1)
          taken.push(backlog.shift());
        assert.equal(backlog.size, n + 1 - taken.length);
      }
      while (backlog.size > 0) taken.push(backlog.shift());
      assert.deepEqual(
        taken,
        Array.from({ length: count }, (_, n) => ({ n })),
      );
    }
});

test("a function that is too slow is reported once, and again after it has caught up", async () => {
  /** @type {string[]} */
  const told = [];
  const gate = { open: () => {} };
  /** @type {Calls<number>} */
  const calls = new Calls(
    (text) => told.push(text),
    () => opened,
  );
  let opened = Promise.resolve();
  for (let turn = 1; turn <= 2; turn += 1) {
    opened = new Promise((resolve) => {
      gate.open = resolve;
    });
    for (let n = 0; n < MANY_WAITING + 2 * MAX_UNFINISHED; n += 1) calls.add(n);
    assert.equal(told.filter((text) => /is slow/.test(text)).length, turn);
    gate.open();
    await until("all to be called", () => calls.waiting === 0);
  }
});
