/** The keys that verify tokens, and where they come from. */
import { createPublicKey, createSecretKey } from "node:crypto";
import { invalid } from "./claims.js";
import { monotonicClock } from "./clock.js";
import { HubError } from "./errors.js";
import { KeySchedule } from "./key-schedule.js";
import { findWeakness } from "./weak-keys.js";

/** @typedef {import("node:crypto").KeyObject} KeyObject */
/** @typedef {import("./tokens.js").Header} Header */

/** Finds the keys for a header, at least one. A verification is void once `generation` has changed.
 * `renew` begins to fetch keys again that are due.
 * @typedef {{generation: () => number, find: (header: Header) => Found | Promise<Found>,
 *   renew: () => void}} Keys */

/** Keys, and the generation that they are of: it may be another one by the time they are used.
 * @typedef {{found: readonly KeyObject[], generation: number}} Found */

/** @typedef {{key: KeyObject, kid?: string, algorithms: readonly string[]}} PublishedKey */

const MAX_BODY = 1_000_000;
/** For a fetch with all its requests. */
const FETCH_TIMEOUT_MS = 2000;
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** The algorithms by a key's curve, or its type where it has none (RFC 7518, RFC 8037).
 * @type {Record<string, readonly string[]>} */
const SUITING = {
  RSA,
  "P-256": ["ES256"],
  "P-384": ["ES384"],
  "P-521": ["ES512"],
  Ed25519: ["EdDSA"],
  Ed448: ["EdDSA"],
};
/** OpenSSL's names of those types and curves. @type {Record<string, string>} */
const NAMES = {
  rsa: "RSA",
  ed25519: "Ed25519",
  ed448: "Ed448",
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

/** @param {readonly KeyObject[]} keys @returns {Keys} */
export const staticKeys = (keys) => ({
  generation: () => 0,
  find: () => ({ found: keys, generation: 0 }),
  renew: () => undefined,
});

/** A secret to verify tokens with; throws an Error for a public key: if that were used as a secret,
 * anybody who knows it could sign.
 * @param {string} text */
export function readSecret(text) {
  const isKey = /^\s*-----BEGIN|^\s*(ssh-|ecdsa-|sk-)\S+ |^\s*\{.*"kty"/s.test(text);
  if (isKey || text === "")
    throw new Error("this is not a secret: it is empty, or a key of another kind");
  return createSecretKey(text, "utf8");
}

/** A public key in PEM, with the algorithms that it can verify, the most common one first; throws an
 * Error if it is something else, or too weak.
 * @param {string} pem @returns {PublishedKey} */
export function readPem(pem) {
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem)) throw new Error("not a public key in PEM");
  const key = createPublicKey(pem);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const algorithms = SUITING[NAMES[details?.namedCurve ?? type ?? ""]];
  if (!algorithms) throw new Error("a public key of a kind that no algorithm uses");
  const weakness = weaknessOf(key);
  if (weakness) throw new Error(weakness);
  return { key, algorithms };
}

/** The published keys of an issuer (RFC 7517). They are fetched as `KeySchedule` says, one request at a
 * time, and nobody whose key is there waits for it. While fetching fails, the last keys remain in use.
 * @implements {Keys} */
export class KeySet {
  #locate;
  #log;
  /** @type {readonly PublishedKey[]} */
  #keys = [];
  #schedule = new KeySchedule();
  #clock;
  /** @type {Promise<void> | undefined} */
  #flight;

  /** @param {(signal: AbortSignal) => Promise<string>} locate gives the address of the set
   * @param {(text: string) => void} log @param {() => number} [clock] in seconds */
  constructor(locate, log, clock = monotonicClock()) {
    this.#locate = locate;
    this.#log = log;
    this.#clock = clock;
  }

  generation() {
    return this.#schedule.fetched;
  }

  /** Begin to fetch keys again that are due, without waiting for it. */
  renew() {
    if (this.#schedule.isDue(this.#clock())) this.#refresh();
  }

  /** @param {Header} header */
  async find(header) {
    const schedule = this.#schedule;
    let key = this.#search(header);
    if (!key && schedule.wait(this.#clock()) === 0) {
      await this.#refresh();
      key = this.#search(header);
      schedule.noteLook(this.#clock(), key !== undefined);
    }
    if (key) return { found: [key], generation: schedule.fetched };
    // It may be a new one, so this is no refusal.
    if (schedule.isFailing)
      throw new HubError("unavailable", "the issuer's keys could not be fetched", {
        retryAfter: schedule.wait(this.#clock()),
      });
    throw invalid("signed with a key that the issuer does not publish");
  }

  /** The key with the header's `kid`; without one, the only key for its `alg`.
   * @param {Header} header */
  #search({ alg, kid }) {
    const suiting = this.#keys.filter(({ algorithms }) => algorithms.includes(alg));
    if (kid !== undefined) return suiting.find((one) => one.kid === kid)?.key;
    return suiting.length === 1 ? suiting[0].key : undefined;
  }

  #refresh() {
    this.#flight ??= this.#fetch().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #fetch() {
    let succeeded = false;
    try {
      const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
      const document = await fetchJson(await this.#locate(signal), signal);
      const { keys, passedOver } = readKeySet(document);
      if (passedOver.length > 0) this.#log(`ignoring weak keys: ${passedOver.join("; ")}`);
      this.#keys = keys;
      succeeded = true;
    } catch (error) {
      this.#log(`the issuer's keys could not be fetched: ${describe(error)}`);
    } finally {
      this.#schedule.noteFetch(this.#clock(), succeeded);
    }
  }
}

/** @param {unknown} error */
export function describe(error) {
  if (!(error instanceof Error)) return `${error}`;
  const { cause } = error;
  return cause instanceof Error ? `${error.message} (${cause.message})` : error.message;
}

/** The address of an issuer's key set, from its metadata: by OpenID Connect Discovery 1.0 section 4,
 * else by RFC 8414 section 3. Metadata of another issuer is refused (sections 4.3 and 3.3).
 * @param {string} issuer @param {AbortSignal} signal */
export async function discover(issuer, signal) {
  const bare = issuer.replace(/\/+$/, "");
  const inserted = new URL(issuer);
  const path = inserted.pathname.replace(/\/+$/, "");
  inserted.pathname = `/.well-known/oauth-authorization-server${path}`;
  const failures = [];
  for (const url of [`${bare}/.well-known/openid-configuration`, inserted.href]) {
    let document;
    try {
      document = await fetchJson(url, signal);
    } catch (error) {
      failures.push(`${url}: ${describe(error)}`);
      continue;
    }
    if (document?.issuer !== issuer) throw new Error(`${url} is about another issuer`);
    if (typeof document.jwks_uri !== "string") throw new Error(`${url} names no jwks_uri`);
    checkAddress("jwks_uri", document.jwks_uri);
    return document.jwks_uri;
  }
  throw new Error(failures.join("; "));
}

/** Check that keys may be fetched from a URL: over https, or http from loopback.
 * @param {string} member @param {string} url */
export function checkAddress(member, url) {
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: "", hostname: "" };
  const isLoopback = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/i.test(hostname);
  if (protocol !== "https:" && !(protocol === "http:" && isLoopback))
    throw new Error(`${member}: keys are fetched over https only (or http from loopback)`);
}

/** Fetch a JSON document: at most 1 MB, without following redirects.
 * @param {string} url @param {AbortSignal} signal @returns {Promise<any>} */
async function fetchJson(url, signal) {
  const answer = await fetch(url, { redirect: "error", signal });
  if (answer.status !== 200) throw new Error(`answered ${answer.status}`);
  /** @type {Uint8Array[]} */
  const parts = [];
  let size = 0;
  for await (const part of /** @type {any} */ (answer.body ?? [])) {
    size += part.length;
    if (size > MAX_BODY) throw new Error("larger than 1 MB");
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString());
}

/** The usable keys of a key set, and why others are too weak; throws if none is usable.
 * @param {any} document @returns {{keys: PublishedKey[], passedOver: string[]}} */
export function readKeySet(document) {
  if (!Array.isArray(document?.keys)) throw new Error("not a JSON Web Key Set");
  /** @type {Set<string>} */
  const reasons = new Set();
  /** @type {PublishedKey[]} */
  const keys = [];
  for (const member of document.keys) {
    const found = isForSignatures(member) && readKey(member);
    if (!found) continue;
    const weakness = weaknessOf(found.key);
    if (weakness) reasons.add(weakness);
    else keys.push(found);
  }
  const passedOver = [...reasons].sort();
  if (keys.length === 0)
    throw new Error(["a JSON Web Key Set without a usable key", ...passedOver].join("; "));
  return { keys, passedOver };
}

/** Whether a member is a public key for signatures. Anything else that a set may hold (secrets,
 * private keys, keys for encryption) is ignored. @param {any} member */
function isForSignatures(member) {
  if (typeof member !== "object" || member === null || Array.isArray(member)) return false;
  const { use = "sig", key_ops: operations = ["verify"] } = member;
  return (
    !("d" in member) && use === "sig" && Array.isArray(operations) && operations.includes("verify")
  );
}

/** @param {any} member @returns {PublishedKey | undefined} */
function readKey(member) {
  const kind = `${member.crv ?? member.kty}`;
  const suiting = Object.hasOwn(SUITING, kind) ? SUITING[kind] : [];
  const algorithms = suiting.filter((name) => (member.alg ?? name) === name);
  if (algorithms.length === 0) return undefined;
  try {
    const key = createPublicKey({ key: member, format: "jwk" });
    return { key, algorithms, kid: typeof member.kid === "string" ? member.kid : undefined };
  } catch {
    return undefined;
  }
}

/** @param {KeyObject} key */
function weaknessOf(key) {
  if (key.asymmetricKeyType !== "rsa") return undefined;
  const { n = "", e = "" } = key.export({ format: "jwk" });
  return findWeakness(readNumber(n), readNumber(e));
}

/** @param {string} text */
const readNumber = (text) => BigInt(`0x0${Buffer.from(text, "base64url").toString("hex")}`);
