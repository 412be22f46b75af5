/** What of the elements needs no document: words, times, and what became of a logout. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { ago } from "./elements/ago.js";
import { followReceipt, sortOutcomes } from "./elements/outcome.js";
import { fill, setTexts, textsFor, wordings } from "./elements/texts.js";
import { recorder } from "./support.js";

/** The elements as they come over the wire, without the client. */
const BUDGET = 9_050;

/** @typedef {import("./core.js").Outcome} Outcome */

/** @type {Outcome[]} */
const SESSIONS = [
  { sid: "a", device: "Phone", state: "offline" },
  { sid: "b", device: "Tablet", state: "notified" },
  { sid: "c", device: "Work PC", state: "acknowledged" },
  { sid: "d", device: "TV", state: "cut" },
  { sid: "e", device: "Watch", state: "acknowledged" },
];

/** @param {unknown} text */
const placeholders = (text) =>
  JSON.stringify(text)
    .match(/\{\w+\}/g)
    ?.sort() ?? [];

test("importing the elements where there is no document does nothing", async () => {
  const { LogoutButton, SessionList } = await import("./elements.js");
  assert.equal(typeof LogoutButton, "function");
  assert.equal(typeof SessionList, "function");
});

test("German says all that English says, with the same things filled in", () => {
  const { texts: english } = textsFor("en");
  const { texts: german } = textsFor("de");
  for (const [key, text] of Object.entries(english)) {
    assert.notEqual(JSON.stringify(german[key]), JSON.stringify(text), key);
    assert.deepEqual(placeholders(german[key]), placeholders(text), key);
  }
  assert.deepEqual(Object.keys(german), Object.keys(english));
});

for (const [wanted, lang] of [
  ["de", "de"],
  ["de-AT", "de"],
  ["DE-at-1996", "de"],
  ["en-GB", "en"],
  ["fr", "en"],
  ["den", "en"],
  ["", "en"],
  ["constructor", "en"],
  ["de_DE", "en"],
])
  test(`a page in ${wanted || "no language"} is spoken to in ${lang}`, () => {
    assert.equal(textsFor(wanted).lang, lang);
  });

test("texts are replaced or added one by one, and the nearest ones win", () => {
  const told = recorder();
  wordings.addEventListener("change", told);
  setTexts("fr", { logOut: "Se déconnecter" });
  setTexts("fr-CH", { cancel: "Annuler" });
  const { lang, texts } = textsFor("fr-ch");
  assert.equal(lang, "fr-ch");
  assert.equal(texts.logOut, "Se déconnecter");
  assert.equal(texts.cancel, "Annuler");
  assert.equal(texts.close, "Close");
  assert.equal(textsFor("fr").texts.cancel, "Cancel");
  assert.equal(told.calls.length, 2);
});

test("what is no language tag is refused, not stored", () => {
  assert.throws(() => setTexts("not a language", {}), RangeError);
});

test("values stand in their places, whatever they look like", () => {
  const wrap = (/** @type {string} */ value) => ({ value });
  assert.deepEqual(fill("en", "Log out {name}?", { name: "{name}" }, wrap), [
    "Log out ",
    { value: "{name}" },
    "?",
  ]);
});

test("the number decides the form, by the rules of the language", () => {
  const text = { one: "{count} a", few: "{count} b", other: "{count} c" };
  const say = (/** @type {string} */ lang, /** @type {number} */ count) =>
    fill(lang, text, { count }, String).join("");
  assert.deepEqual(
    [1, 2, 5].map((count) => say("en", count)),
    ["1 a", "2 c", "5 c"],
  );
  assert.deepEqual(
    [1, 2, 5].map((count) => say("pl", count)),
    ["1 a", "2 b", "5 c"],
  );
});

for (const [passed, english, german] of /** @type {const} */ ([
  [-5, "now", "jetzt"],
  [0, "now", "jetzt"],
  [59, "now", "jetzt"],
  [60, "1 minute ago", "vor 1 Minute"],
  [3_599, "59 minutes ago", "vor 59 Minuten"],
  [3_600, "1 hour ago", "vor 1 Stunde"],
  [86_400, "yesterday", "gestern"],
  [86_400 * 20, "20 days ago", "vor 20 Tagen"],
  [86_400 * 31, "last month", "letzten Monat"],
  [86_400 * 366, "last year", "letztes Jahr"],
]))
  test(`${passed} s are told as “${english}”`, () => {
    const now = 1_800_000_000;
    assert.equal(ago("en", now - passed, now), english);
    assert.equal(ago("de", now - passed, now), german);
  });

test("what became of sessions is sorted, the best first", () => {
  const sorted = sortOutcomes({ scope: "all", sessions: SESSIONS, complete: true });
  assert.deepEqual(
    sorted.map(({ text, outcomes }) => [text, outcomes.map(({ device }) => device)]),
    [
      ["acknowledged", ["Work PC", "Watch"]],
      ["notified", ["Tablet"]],
      ["cut", ["TV"]],
      ["offline", ["Phone"]],
    ],
  );
});

test("a device that could not clear everything is told apart", () => {
  /** @type {Outcome} */
  const session = { sid: "a", device: "TV", state: "acknowledged", failed: ["caches"] };
  const receipt = { scope: "all", sessions: [session], complete: true };
  const [{ text, outcomes }] = sortOutcomes(receipt);
  assert.deepEqual([text, outcomes.length], ["uncleared", 1]);
});

test("who was told may still answer, as long as the receipt is not complete", () => {
  const lines = sortOutcomes({ scope: "all", sessions: SESSIONS, complete: false }).map(
    ({ text }) => text,
  );
  assert.deepEqual(lines, ["acknowledged", "telling", "cut", "offline"]);
});

/** @param {any[]} receipts @returns {any} */
function hubThatAnswers(...receipts) {
  const receipt = recorder(async () => {
    const next = receipts.shift();
    if (next instanceof Error) throw next;
    return next;
  });
  return { receipt, asked: receipt.calls };
}

test("a receipt is asked for until it is complete", async () => {
  const hub = hubThatAnswers({ complete: false }, { complete: true }, { complete: false });
  const tell = recorder();
  await followReceipt(hub, { id: "l", scope: "all", sessions: [] }, tell);
  assert.deepEqual(hub.asked, ["l", "l"]);
  assert.deepEqual(
    tell.calls.map(({ complete }) => complete),
    [undefined, false, true],
  );
});

test("a receipt that is never complete is not asked for without end", async () => {
  const hub = hubThatAnswers(...Array.from({ length: 100 }, () => ({ complete: false })));
  await followReceipt(hub, { id: "l", scope: "all", sessions: [] }, () => {});
  assert.equal(hub.asked.length, 4);
});

test("without an id, or when the hub no longer answers, what was told last stands", async () => {
  const tell = recorder();
  const offline = hubThatAnswers();
  await followReceipt(offline, { pending: true, scope: "all", sessions: [] }, tell);
  assert.deepEqual(offline.asked, []);
  await followReceipt(
    hubThatAnswers(new Error("gone")),
    { id: "l", scope: "all", sessions: [] },
    tell,
  );
  assert.equal(tell.calls.length, 2);
});

test(`the elements take at most ${BUDGET} bytes, minified and gzipped`, async () => {
  const { outputFiles } = await build({
    entryPoints: [new URL("elements.js", import.meta.url).pathname],
    external: ["../client.js"],
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  assert.ok(size <= BUDGET, `${size} bytes`);
});
