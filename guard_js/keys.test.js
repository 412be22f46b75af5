/** Keys of issuers: from a set, by discovery, in PEM; and issuers that make no sense. */
import assert from "node:assert/strict";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as signBytes,
} from "node:crypto";
import { createServer } from "node:http";
import { test } from "node:test";
import { monotonicClock } from "./clock.js";
import { Issuers } from "./issuers.js";
import { checkAddress, KeySet, readKeySet, readPem, readSecret } from "./key-sets.js";
import { codeOf, SECRET, sign, startFakeHub, startGuard, until } from "./support.js";
import { findWeakness } from "./weak-keys.js";

/** @typedef {import("node:crypto").KeyObject} KeyObject */

const IAT = 1_700_000_000;
const quiet = () => undefined;

/** New keys, by way of PEM: Node may deadlock when it exports a key that it has just generated, if the
 * garbage collector runs then. @param {any} [type] @param {object} [options] */
function pair(type = "ec", options = { namedCurve: "P-256" }) {
  const { publicKey, privateKey } = generateKeyPairSync(type, {
    ...options,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { publicKey: createPublicKey(publicKey), privateKey: createPrivateKey(privateKey) };
}

/** @param {KeyObject} key @param {string} kid */
const jwkOf = (key, kid) => ({ ...key.export({ format: "jwk" }), kid });

/** @param {KeyObject} key @param {string} [kid] @param {string} [iss] @param {string} [alg] */
function tokenOf(key, kid, iss, alg = "ES256") {
  const encode = (/** @type {object} */ part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = { sub: "ada", aud: "app", iss, iat: IAT, exp: IAT + 60 };
  const signed = `${encode({ alg, kid })}.${encode(claims)}`;
  const options = /** @type {const} */ ({ key, dsaEncoding: "ieee-p1363" });
  const made = signBytes(alg === "EdDSA" ? null : "sha256", Buffer.from(signed), options);
  return `${signed}.${made.toString("base64url")}`;
}

/** A server whose answers a test changes. @param {import("node:test").TestContext} t */
async function serve(t) {
  const site = {
    url: "",
    asked: 0,
    /** What it waits for before it answers. @type {Promise<unknown> | undefined} */
    ready: undefined,
    /** @type {(path: string) => [status: number, body: unknown, headers?: Record<string, string>]} */
    answer: () => [404, ""],
  };
  const server = createServer(async (request, response) => {
    site.asked += 1;
    await site.ready;
    const [status, body, headers] = site.answer(request.url ?? "");
    response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  site.url = `http://127.0.0.1:${port}`;
  return site;
}

/** Let monotonic time pass for keys. @param {import("node:test").TestContext} t */
function wait(t) {
  const real = performance.now.bind(performance);
  let ahead = 0;
  t.mock.method(performance, "now", () => real() + ahead);
  return (/** @type {number} */ seconds) => {
    ahead += seconds * 1000;
  };
}

test("entries that have their keys from one address share its fetches and its cool-down", async (t) => {
  const [site, pass, known, made] = [await serve(t), wait(t), pair(), pair()];
  const names = ["a", "b", "c"];
  /** @param {Issuers} issuers @param {string[]} among */
  const check = async (issuers, among) => {
    const before = site.asked;
    for (const iss of among) await issuers.verify(tokenOf(known.privateKey, "1", iss));
    const atFirst = site.asked - before;
    for (const iss of [...among, ...among])
      assert.equal(
        await codeOf(issuers.verify(tokenOf(made.privateKey, "2", iss))),
        "token_invalid",
      );
    const afterMadeUp = site.asked - before;
    pass(3600);
    issuers.renewKeys();
    await until("the renewal", () => site.asked - before === afterMadeUp + atFirst);
    return [atFirst, afterMadeUp];
  };
  const set = { keys: [jwkOf(known.publicKey, "1")] };
  site.answer = () => [200, set];
  const audience = "app";
  const listed = names.map((iss) => ({ iss, jwksUrl: `${site.url}/keys`, audience }));
  assert.deepEqual(await check(new Issuers(listed, quiet), names), [1, 2]);

  site.answer = (path) => [
    200,
    path === "/keys" ? set : { issuer: site.url, jwks_uri: `${site.url}/keys` },
  ];
  const one = { iss: site.url, audience };
  const discovered = [
    { ...one, algorithms: "ES256" },
    { ...one, algorithms: "RS256" },
  ];
  const issuers = new Issuers(discovered, quiet);
  assert.equal(new Set(issuers.entries.map(({ keys }) => keys)).size, 1);
  assert.deepEqual(await check(issuers, [site.url]), [2, 4]);
});

test("keys of a set are fetched once, again for a new kid, and hourly", async (t) => {
  const [site, pass] = [await serve(t), wait(t)];
  const [first, second] = [pair(), pair()];
  site.answer = () => [200, { keys: [jwkOf(first.publicKey, "1")] }];
  /** @type {string[]} */
  const told = [];
  const issuers = new Issuers([{ iss: "i", jwksUrl: site.url, audience: "app" }], (text) =>
    told.push(text),
  );
  const [old, fresh] = [tokenOf(first.privateKey, "1", "i"), tokenOf(second.privateKey, "2", "i")];
  const [{ keys, generation }] = await Promise.all([
    issuers.verify(old),
    issuers.verify(old),
    issuers.verify(tokenOf(first.privateKey, undefined, "i")),
  ]);
  assert.deepEqual([site.asked, keys.generation() - generation], [1, 0]);
  site.answer = () => [200, { keys: [jwkOf(first.publicKey, "1"), jwkOf(second.publicKey, "2")] }];
  await Promise.all([issuers.verify(fresh), issuers.verify(fresh)]);
  assert.equal(
    await codeOf(issuers.verify(tokenOf(first.privateKey, undefined, "i"))),
    "token_invalid",
  );
  assert.deepEqual([site.asked, keys.generation() - generation], [2, 1]);
  const failed = until("a failure", () => told.length > 0);
  site.answer = () => [500, ""];
  pass(3599);
  issuers.renewKeys();
  await failed;
  await issuers.verify(old);
  assert.deepEqual([site.asked, keys.generation() - generation], [3, 1]);
  site.answer = () => [200, { keys: [jwkOf(second.publicKey, "2")] }];
  pass(3599);
  issuers.renewKeys();
  await until("newer keys", () => keys.generation() - generation === 2);
  assert.equal(await codeOf(issuers.verify(old)), "token_invalid");
});

test("made-up names of keys cost the issuer one request in the cool-down", async (t) => {
  const [site, pass] = [await serve(t), wait(t)];
  const [first, second] = [pair(), pair()];
  site.answer = () => [200, { keys: [jwkOf(first.publicKey, "1")] }];
  const issuers = new Issuers([{ iss: "i", jwksUrl: site.url, audience: "app" }], quiet);
  const [old, fresh] = [tokenOf(first.privateKey, "1", "i"), tokenOf(second.privateKey, "2", "i")];
  for (const asked of [1, 2]) {
    const codes = [codeOf(issuers.verify(fresh)), codeOf(issuers.verify(fresh))];
    assert.deepEqual(await Promise.all(codes), ["token_invalid", "token_invalid"]);
    assert.equal(await codeOf(issuers.verify(fresh)), "token_invalid");
    assert.equal(site.asked, asked);
    pass(31);
  }
  site.answer = () => [200, { keys: [jwkOf(second.publicKey, "2")] }];
  await issuers.verify(fresh);
  // Its servers may publish different keys in turn.
  site.answer = () => [200, { keys: [jwkOf(first.publicKey, "1")] }];
  assert.equal(await codeOf(issuers.verify(old)), "token_invalid");
  assert.equal(site.asked, 3);
});

test("a key that could not be fetched may be a new one: it is not refused for good", async (t) => {
  const [site, pass] = [await serve(t), wait(t)];
  const [first, second] = [pair(), pair()];
  site.answer = () => [200, { keys: [jwkOf(first.publicKey, "1")] }];
  const issuers = new Issuers([{ iss: "i", jwksUrl: site.url, audience: "app" }], quiet);
  const [old, fresh] = [tokenOf(first.privateKey, "1", "i"), tokenOf(second.privateKey, "2", "i")];
  await issuers.verify(old);
  site.answer = () => [503, ""];
  for (const asked of [2, 3]) {
    for (const _ of [1, 2, 3]) {
      const error = await issuers.verify(fresh).catch((/** @type {any} */ caught) => caught);
      assert.deepEqual([error.code, error.retryAfter > 0], ["unavailable", true]);
      assert.ok(error.retryAfter <= 5);
    }
    assert.equal(site.asked, asked);
    pass(6);
  }
  await issuers.verify(old);
  site.answer = () => [200, { keys: [jwkOf(second.publicKey, "2")] }];
  await issuers.verify(fresh);
  assert.equal(await codeOf(issuers.verify(old)), "token_invalid");
});

test("a failed fetch is soon followed by another", async (t) => {
  const [site, pass] = [await serve(t), wait(t)];
  const { privateKey, publicKey } = pair();
  site.answer = () => [200, { keys: [jwkOf(publicKey, "1")] }];
  /** @type {string[]} */
  const told = [];
  const issuers = new Issuers([{ iss: "i", jwksUrl: site.url, audience: "app" }], (text) =>
    told.push(text),
  );
  const { keys, generation } = await issuers.verify(tokenOf(privateKey, "1", "i"));
  const { answer } = site;
  site.answer = () => [503, ""];
  pass(3600);
  issuers.renewKeys();
  await until("the failure", () => told.length === 1);
  site.answer = answer;
  issuers.renewKeys();
  assert.equal(site.asked, 2);
  pass(31);
  issuers.renewKeys();
  await until("newer keys", () => keys.generation() > generation);
});

test("a fetch has one time limit for all its requests", async (t) => {
  const site = await serve(t);
  const { privateKey, publicKey } = pair();
  Object.defineProperty(site, "ready", {
    get: () => new Promise((resolve) => setTimeout(resolve, 1200)),
  });
  site.answer = (path) => [
    200,
    path === "/keys"
      ? { keys: [jwkOf(publicKey, "1")] }
      : { issuer: site.url, jwks_uri: `${site.url}/keys` },
  ];
  const issuers = new Issuers([{ iss: site.url, audience: "app" }], quiet);
  assert.equal(await codeOf(issuers.verify(tokenOf(privateKey, "1", site.url))), "unavailable");
});

test("keys are renewed at once after a machine has slept", async (t) => {
  const site = await serve(t);
  site.answer = () => [200, { keys: [jwkOf(pair().publicKey, "1")] }];
  let asleep = 0;
  const clock = monotonicClock({
    awakeMs: () => performance.now(),
    wallMs: () => performance.now() + asleep * 1000,
    upSeconds: () => performance.now() / 1000 + asleep,
  });
  const keys = new KeySet(async () => site.url, quiet, clock);
  await keys.find({ alg: "ES256", kid: "1" });
  keys.renew();
  asleep = 3600;
  keys.renew();
  await until("newer keys", () => keys.generation() === 2);
  assert.equal(site.asked, 2);
});

test("a check does not wait for an issuer that does not answer, which is asked once", async (t) => {
  const [site, pass] = [await serve(t), wait(t)];
  const { privateKey, publicKey } = pair();
  site.answer = () => [200, { keys: [jwkOf(publicKey, "1")] }];
  const issuers = new Issuers([{ iss: "i", jwksUrl: site.url, audience: "app" }], quiet);
  issuers.renewKeys();
  assert.equal(site.asked, 0);
  const token = tokenOf(privateKey, "1", "i");
  const { keys, generation } = await issuers.verify(token);
  pass(7200);
  /** @type {() => void} */
  let release = () => undefined;
  site.ready = new Promise((resolve) => {
    release = () => resolve(undefined);
  });
  for (const _ of [1, 2, 3]) issuers.renewKeys();
  await until("the request", () => site.asked === 2);
  await issuers.verify(token);
  assert.equal(keys.generation(), generation);
  release();
  await until("the keys", () => keys.generation() > generation);
  assert.equal(site.asked, 2);
});

test("a guard renews keys by itself", async (t) => {
  const [hub, site] = [await startFakeHub(t), await serve(t)];
  const { privateKey, publicKey } = pair();
  site.answer = () => [200, { keys: [jwkOf(publicKey, "1")] }];
  const issuer = { iss: "i", jwksUrl: site.url, audience: "app" };
  const guard = await startGuard(t, hub.url, { issuers: [issuer] });
  assert.equal(await codeOf(guard.check(tokenOf(privateKey, "1", "i"))), "token_expired");
  assert.equal(site.asked, 1);
  wait(t)(3599);
  await until("the next request", () => site.asked === 2);
});

test("as long as keys were never fetched, the answer is unavailable", async (t) => {
  const [site, pass] = [await serve(t), wait(t)];
  const { privateKey, publicKey } = pair();
  const good = { keys: [jwkOf(publicKey, "1")] };
  /** @type {string[]} */
  const told = [];
  const issuers = new Issuers([{ iss: "i", jwksUrl: site.url, audience: "app" }], (text) =>
    told.push(text),
  );
  for (const answer of /** @type {[number, unknown, Record<string, string>?][]} */ ([
    [302, "", { Location: `${site.url}/keys` }],
    [200, `{"keys":[],"x":"${"x".repeat(1_000_000)}"}`],
    [200, "no JSON"],
    [200, { keys: [] }],
    [204, ""],
  ])) {
    site.answer = (path) => (path === "/keys" ? [200, good] : answer);
    pass(2);
    assert.equal(await codeOf(issuers.verify(tokenOf(privateKey, "1", "i"))), "unavailable");
  }
  assert.equal(told.length, 5);
  assert.match(told[0], /the issuer's keys could not be fetched/);
  site.answer = () => [200, good];
  pass(2);
  await issuers.verify(tokenOf(privateKey, "1", "i"));
});

test("keys are discovered, from metadata of the very issuer", async (t) => {
  const [site, pass] = [await serve(t), wait(t)];
  const { privateKey, publicKey } = pair();
  const iss = `${site.url}/realm`;
  let metadata = { issuer: `${iss}/`, jwks_uri: `${site.url}/keys` };
  site.answer = (path) => {
    if (path === "/keys") return [200, { keys: [jwkOf(publicKey, "1")] }];
    return path === "/.well-known/oauth-authorization-server/realm" ? [200, metadata] : [404, ""];
  };
  const issuers = new Issuers([{ iss, audience: "app" }], quiet);
  const token = tokenOf(privateKey, "1", iss);
  assert.equal(await codeOf(issuers.verify(token)), "unavailable");
  for (const jwks_uri of ["http://keys.example", "", `${site.url}/keys`]) {
    metadata = { issuer: iss, jwks_uri };
    pass(2);
    const code = jwks_uri.endsWith("/keys") ? undefined : "unavailable";
    assert.equal(await codeOf(issuers.verify(token)), code);
  }
});

test("what a set holds besides public keys for signatures is passed over", () => {
  const { publicKey, privateKey } = pair();
  const good = jwkOf(publicKey, "1");
  const weak = pair("rsa", { modulusLength: 1024 }).publicKey.export({
    format: "jwk",
  });
  const odd = [
    5,
    null,
    [],
    {},
    { ...good, use: "enc" },
    { ...good, key_ops: ["sign"] },
    { ...good, crv: "constructor" },
    { ...good, x: "AA" },
    { ...good, alg: "RS256" },
    { kty: "oct", k: "YQ" },
    jwkOf(privateKey, "2"),
  ];
  const { keys, passedOver } = readKeySet({ keys: [...odd, weak, good] });
  assert.deepEqual([keys.length, keys[0].kid, keys[0].algorithms], [1, "1", ["ES256"]]);
  assert.deepEqual(passedOver, ["an RSA key of 1024 bits, less than 2048 (RFC 7518, 3.3)"]);
  for (const none of [undefined, [], { keys: 5 }, { keys: [weak] }])
    assert.throws(() => readKeySet(none));
});

test("Ed448 is verified too, though jose leaves it out", async () => {
  const { publicKey, privateKey } = pair("ed448", {});
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  const issuers = new Issuers([{ publicKey: pem }], quiet);
  const token = tokenOf(privateKey, undefined, undefined, "EdDSA");
  assert.equal((await issuers.verify(token)).identity.user, "ada");
  assert.equal(await codeOf(issuers.verify(`${token.slice(0, -8)}AAAAAAAA`)), "token_invalid");
});

test("weak RSA keys are found as the hub finds them", () => {
  const good = (1n << 2047n) + 981n;
  assert.match(findWeakness(good >> 1n, 65537n) ?? "", /2047 bits/);
  for (const exponent of [1n, 4n]) assert.match(findWeakness(good, exponent) ?? "", /exponent/);
  assert.match(findWeakness(751n << 2040n, 3n) ?? "", /small factor/);
  /** @type {bigint[]} */
  const primes = [];
  for (let n = 3n; n < 752n; n += 2n) if (primes.every((prime) => n % prime)) primes.push(n);
  const product = primes.reduce((all, prime) => all * prime, 2n);
  const length = BigInt(product.toString(2).length);
  const roca = (65537n ** 200n % product) + (product << (2049n - length));
  assert.match(findWeakness(roca, 65537n) ?? "", /CVE-2017-15361/);
  const { publicKey } = pair("rsa", { modulusLength: 2048 });
  assert.equal(
    readPem(publicKey.export({ type: "spki", format: "pem" }).toString()).algorithms[0],
    "RS256",
  );
});

test("a key of another kind is no secret, and the other way round", () => {
  const { publicKey, privateKey } = pair();
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  for (const text of [pem, "", "ssh-rsa AAAA", JSON.stringify(jwkOf(publicKey, "1"))])
    assert.throws(() => readSecret(text), /not a secret/);
  assert.throws(() => readPem(SECRET), /not a public key in PEM/);
  assert.throws(() => readPem(privateKey.export({ type: "pkcs8", format: "pem" }).toString()));
  const x25519 = pair("x25519", {}).publicKey.export({ type: "spki", format: "pem" });
  assert.throws(() => readPem(x25519.toString()), /no algorithm/);
});

test("issuers that make no sense are refused, and named", async () => {
  for (const [issuers, message] of /** @type {[import("./issuers.js").Issuer[], RegExp][]} */ ([
    [[{}], /iss/],
    [[{ iss: "i", secret: "short" }], /secret.*32 bytes/],
    [[{ iss: "i", preset: "constructor" }], /preset/],
    [[{ iss: "i", preset: "simplejwt" }], /one of them is needed/],
    [[{ iss: "https://i.example" }], /audience/],
    [[{ iss: "http://i.example", audience: "a" }], /https/],
    [[{ iss: "i", jwksUrl: "https://i.example", secret: SECRET }], /keys come from one of them/],
    [[{ secret: SECRET, algorithms: "RS256" }], /algorithms: RS256/],
    [[{ secret: SECRET, algorithms: "HS512" }], /64 bytes/],
    [
      [
        { iss: "a", secret: SECRET },
        { iss: "a", secret: SECRET },
      ],
      /two entries/,
    ],
    [
      [
        { iss: "a", secret: SECRET },
        { iss: "b", aliases: ["a"], secret: SECRET },
      ],
      /aliases/,
    ],
  ]))
    assert.throws(() => new Issuers(issuers, quiet), message);
  for (const url of [
    "https://a.example/x",
    "http://localhost:1",
    "http://[::1]:1",
    "http://127.0.0.9",
  ])
    checkAddress("m", url);
  for (const url of ["http://a.example", "http://localhost.evil.example", "ftp://a", "x"])
    assert.throws(() => checkAddress("m", url));
  const issuers = new Issuers([{ iss: "i", secret: SECRET }], quiet);
  assert.equal(
    await codeOf(issuers.verify(sign({ sub: "a", iat: IAT, exp: IAT + 9 }))),
    "token_invalid",
  );
});
