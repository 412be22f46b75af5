import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFrame, toNotification, toRefusal } from "./frames.js";
import { backoffDelay } from "./tasks.js";

test("every kind of frame that the hub sends is taken apart", () => {
  const open = { pingInterval: 25000, pingTimeout: 20000 };
  const cases = /** @type {const} */ ([
    [`0${JSON.stringify(open)}`, ["0", open, ""]],
    ["1", ["1", null, ""]],
    ["2", ["2", null, ""]],
    ["6", ["6", null, ""]],
    ['40{"sid":"x"}', ["40", { sid: "x" }, ""]],
    ["41", ["41", null, ""]],
    ['4217["e",{"a":1}]', ["42", ["e", { a: 1 }], "17"]],
    ['42["e"]', ["42", ["e"], ""]],
    ['433[{"ok":true}]', ["43", [{ ok: true }], "3"]],
    ['44{"message":"m"}', ["44", { message: "m" }, ""]],
  ]);
  for (const [text, frame] of cases) assert.deepEqual(parseFrame(text), frame);
});

test("what is no frame is an error", () => {
  const cases = [
    ...["", "0{", "2probe", "3", "4", "41x", '42/admin,["e"]', "45", "46", "9", "x"],
    '451-["e",{"_placeholder":true,"num":0}]',
  ];
  for (const text of cases) assert.throws(() => parseFrame(text), text);
  for (const data of [undefined, null, 2, new ArrayBuffer(1), new Blob(["2"]), Buffer.from("2")])
    assert.throws(() => parseFrame(data));
});

test("a refusal is taken from its data, else from its message", () => {
  const known = { code: "unavailable", title: "Later", retryable: true };
  assert.deepEqual(toRefusal(known, "m"), known);
  assert.deepEqual(toRefusal(undefined, "m"), { code: "m", title: "m" });
});

test("a notification holds what is known and nothing else", () => {
  assert.deepEqual(toNotification({ id: "1", code: "x", reason: "admin" }, { sid: "s" }), {
    id: "1",
    reason: "admin",
    sid: "s",
  });
  for (const junk of [undefined, null, "text", [1]]) assert.deepEqual(toNotification(junk), {});
});

test("the delay doubles from 500 ms to at most 10 s, and is spread over its whole range", () => {
  const longest = [0, 1, 2, 3, 4, 5, 50, 5000].map((attempt) => backoffDelay(attempt, 1));
  assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 10000, 10000, 10000]);
  assert.equal(backoffDelay(7, 0), 0);
  for (let round = 0; round < 100; round += 1) assert.ok(backoffDelay(1) <= 1000);
});
