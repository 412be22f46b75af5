import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeAck,
  encodeConnect,
  encodeEvent,
  parseFrame,
  toNotification,
  toRefusal,
} from "./frames.js";
import { backoffDelay } from "./tasks.js";

test("every kind of frame that the hub sends is understood", () => {
  const open = { pingInterval: 25000, pingTimeout: 20000 };
  const cases = [
    [`0${JSON.stringify(open)}`, { type: "open", id: "", body: open }],
    ["1", { type: "close", id: "", body: undefined }],
    ["2", { type: "ping", id: "", body: undefined }],
    ["6", { type: "noop", id: "", body: undefined }],
    ['40{"sid":"x"}', { type: "accepted", id: "", body: { sid: "x" } }],
    ["41", { type: "disconnect", id: "", body: undefined }],
    ['4217["e",{"a":1}]', { type: "event", id: "17", body: ["e", { a: 1 }] }],
    ['42["e"]', { type: "event", id: "", body: ["e"] }],
    ['433[{"ok":true}]', { type: "ack", id: "3", body: [{ ok: true }] }],
    ['44{"message":"m"}', { type: "refused", id: "", body: { message: "m" } }],
  ];
  for (const [text, frame] of cases) assert.deepEqual(parseFrame(text), frame);
});

test("a malformed frame is null, never an exception", () => {
  const cases = [
    ...["", "0", "0{", "0{}", "0null", '0{"pingInterval":"1","pingTimeout":"2"}', "2probe", "3"],
    ...['0{"pingInterval":1e300,"pingTimeout":1}', '0{"pingInterval":0,"pingTimeout":9}'],
    ...["4", "40", "40[]", "41x", "42", "42{}", "42[]", "42[1]", '42/admin,["e"]', "43[]", "431{}"],
    ...[
      "44",
      "44null",
      '44"text"',
      "45",
      '451-["e",{"_placeholder":true,"num":0}]',
      "46",
      "9",
      "x",
    ],
  ];
  for (const text of cases) assert.equal(parseFrame(text), null, text);
  for (const data of [undefined, null, 2, new ArrayBuffer(1)]) assert.equal(parseFrame(data), null);
});

test("CONNECT carries the token and the device, and nothing when there is neither", () => {
  assert.equal(encodeConnect({ token: "t", device: "d" }), '40{"token":"t","device":"d"}');
  assert.equal(encodeConnect({ token: undefined, device: "d" }), '40{"device":"d"}');
  assert.equal(encodeConnect({ token: undefined, device: undefined }), "40");
});

test("events and acks are written with their ids", () => {
  assert.equal(encodeEvent(3, "logout", { scope: "all" }), '423["logout",{"scope":"all"}]');
  assert.equal(encodeAck("12", { cleared: true }), '4312[{"cleared":true}]');
});

test("a refusal is taken from its data, else from its message, and is final unless it says so", () => {
  const known = { code: "unavailable", title: "Later", retryable: true };
  assert.deepEqual(toRefusal(known, "m"), { ...known, logout: undefined });
  const bare = { code: "m", title: "m", retryable: false, logout: undefined };
  assert.deepEqual(toRefusal(undefined, "m"), bare);
  assert.equal(toRefusal({ code: "c", retryable: "yes" }).retryable, false);
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
