/** Which verified tokens a guard remembers, and until when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownTokens } from "./known-tokens.js";

/** Keys that may be replaced. */
function someKeys() {
  let generation = 1;
  return {
    generation: () => generation,
    find: () => ({ found: [], generation }),
    renew: () => undefined,
    replace() {
      generation += 1;
    },
  };
}

/** A token that these keys verify now. @param {string} token @param {ReturnType<typeof someKeys>} keys
 * @returns {import("./known-tokens.js").Known} */
const verified = (token, keys) => {
  const [identity, names] = /** @type {any[]} */ ([{ user: "ada" }, { crc: 1 }]);
  return { token, identity, names, keys, generation: keys.generation() };
};

test("two checks of a token at once know the same of it", () => {
  const [tokens, keys] = [new KnownTokens(), someKeys()];
  const first = tokens.add(verified("t", keys));
  first.accepted = "in spite of a logout";
  assert.equal(tokens.add(verified("t", keys)), first);
  assert.equal(tokens.get("t"), first);
});

test("a token is forgotten with the keys that verified it, and no other", () => {
  const [tokens, keys, others] = [new KnownTokens(), someKeys(), someKeys()];
  const theirs = tokens.add(verified("theirs", others));
  tokens.add(verified("mine", keys));
  keys.replace();
  assert.equal(tokens.get("mine"), undefined);
  assert.equal(tokens.get("theirs"), theirs);
  const again = tokens.add(verified("mine", keys));
  assert.equal(tokens.get("mine"), again);
});

test("keys that are replaced while a signature is checked verify nothing for later", () => {
  const [tokens, keys] = [new KnownTokens(), someKeys()];
  const known = verified("t", keys);
  keys.replace();
  tokens.add(known);
  assert.equal(tokens.get("t"), undefined);
});

test("only so many tokens and characters are remembered: the oldest make room", () => {
  const [tokens, keys] = [new KnownTokens(), someKeys()];
  for (let number = 0; number <= 20_000; number += 1) tokens.add(verified(`${number}`, keys));
  assert.equal(tokens.get("0"), undefined);
  assert.ok(tokens.get("1") && tokens.get("20000"));
  const long = (/** @type {string} */ letter) => letter.repeat(20_000_000);
  tokens.add(verified(long("a"), keys));
  tokens.add(verified(long("b"), keys));
  assert.equal(tokens.get(long("a")), undefined);
  assert.ok(tokens.get(long("b")));
});
