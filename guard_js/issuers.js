/** The issuer entries: which tokens are accepted, where their keys are, and how claims are named.
 *
 * An entry is a trust domain, and users belong to it. The members are those of an `[[issuer]]` table
 * of the hub (docs/reference/tokens.md), spelled as JavaScript does.
 */
import { invalid } from "./claims.js";
import { HubError } from "./errors.js";
import { checkAddress, discover, KeySet, readPem, readSecret, staticKeys } from "./key-sets.js";
import { PRESETS } from "./presets.js";
import { ALGORITHMS, checkSignature, identify, isOf, readClaims, readHeader } from "./tokens.js";

/** @typedef {import("./key-sets.js").Keys} Keys */
/** @typedef {import("./tokens.js").Header} Header */
/** @typedef {import("./tokens.js").Rules} Rules */
/** @typedef {import("./verdict.js").Identity} Identity */

/** Keys come from one of `discovery` (the default), `jwksUrl`, `publicKey` and `secret`. Times are in
 * seconds.
 * @typedef {object} Issuer
 * @property {string} [iss] the exact `iss` of its tokens; needed unless the key is your own
 * @property {string[]} [aliases] other spellings of the same issuer
 * @property {string} [preset] a provider's name: its usual claims are the defaults for what follows
 * @property {boolean} [discovery] keys are discovered from `iss`
 * @property {string} [jwksUrl] the address of a key set, over https (http on the local machine)
 * @property {string} [publicKey] a public key in PEM
 * @property {string | string[]} [secret] a secret, or several while one replaces another
 * @property {string | string[]} [algorithms] default: those of the key
 * @property {string | string[]} [audience] whom tokens are for; required if keys are fetched, `"*"`
 *   accepts any
 * @property {string | string[]} [audienceClaims] the claims that may hold the audience
 * @property {string | string[]} [user] the claims that may name the user: the first one present counts
 * @property {string | string[]} [session] the claims that identify the login
 * @property {string | string[]} [loginTime] the claims that say when the login began
 * @property {number} [maxLifetime] the longest lifetime of a token: a day
 * @property {number} [leeway] how far the issuer's clock may differ from the store's
 */

/** @typedef {{rules: Rules, keys: Keys, secret?: string}} Entry */

/** The identity of a token. It is void once `keys` are no longer of this `generation`.
 * @typedef {{identity: Identity, keys: Keys, generation: number}} Verification */

const DAY = 86_400;
const HASH_BYTES = { HS256: 32, HS384: 48, HS512: 64 };
const SYMMETRIC = ALGORITHMS.filter((name) => name.startsWith("HS"));
const ASYMMETRIC = ALGORITHMS.filter((name) => !name.startsWith("HS"));

export class Issuers {
  #entries;

  /** @param {readonly Issuer[]} issuers @param {(text: string) => void} [log] */
  constructor(issuers, log = console.warn) {
    /** @type {KeySets} */
    const sets = new Map();
    this.#entries = issuers.map((issuer) => readEntry(issuer, log, sets));
    checkEntries(this.#entries);
  }

  get entries() {
    return this.#entries;
  }

  /** The `iss` of the entry that `iss` means: an alias is resolved, and with only one entry it may be
   * omitted. Throws `invalid_request` if it is omitted and there are several.
   * @param {string} [iss] */
  resolve(iss) {
    const names = [...new Set(this.#entries.map(({ rules }) => rules.issuer ?? ""))];
    if (names.length === 0) return iss ?? "";
    if (names.length === 1 && (iss === undefined || names[0] === "")) return names[0];
    if (iss === undefined)
      throw new HubError("invalid_request", `issuer is needed: ${names.join(", ")}`);
    return this.find(iss)?.rules.issuer ?? iss;
  }

  /** The entry that has this name or alias. @param {string} iss */
  find(iss) {
    return this.#entries.find(
      ({ rules }) => iss === (rules.issuer ?? "") || rules.aliases.includes(iss),
    );
  }

  /** Begin to fetch keys again that are due, so that no check ever waits for it. */
  renewKeys() {
    for (const keys of new Set(this.#entries.map((entry) => entry.keys))) keys.renew();
  }

  /** The identity of a token, without judging whether its session is alive. Rejects with
   * `token_invalid`, or with `unavailable` when the keys cannot be fetched.
   * @param {string} token @returns {Promise<Verification>} */
  async verify(token) {
    const header = readHeader(token);
    const claims = readClaims(token);
    const { keys, rules } = this.#match(header, claims.get("iss"));
    const { found, generation } = await keys.find(header);
    let refusal;
    for (const key of found) {
      try {
        await checkSignature(token, key, header, rules);
        return { identity: identify(claims, token, rules), keys, generation };
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }

  /** @param {Header} header @param {unknown} iss @returns {Entry} */
  #match({ alg }, iss) {
    const named = this.#entries.filter(({ rules }) => isOf(rules, iss));
    // An entry without an issuer is for tokens that no other entry matches.
    named.sort(
      (a, b) => Number(a.rules.issuer === undefined) - Number(b.rules.issuer === undefined),
    );
    const found = named.find(({ rules }) => rules.algorithms.includes(alg));
    if (found) return found;
    const isKnown = named.length > 0;
    throw invalid(
      isKnown
        ? "signed with an algorithm that is not allowed here"
        : "the token is of another issuer (iss)",
    );
  }
}

/** The key sets so far, by where they are: entries that have the same share its fetches.
 * @typedef {Map<string, KeySet>} KeySets */

/** The entry of an issuer; throws an Error that names the member if it is not valid.
 * @param {Issuer} issuer @param {(text: string) => void} log @param {KeySets} sets
 * @returns {Entry} */
function readEntry(issuer, log, sets) {
  const { iss, preset: name, leeway = 0, maxLifetime = DAY } = issuer;
  if (name !== undefined && !Object.hasOwn(PRESETS, name))
    throw new Error(`preset: ${name} is not one of ${Object.keys(PRESETS).join(", ")}`);
  const preset = name === undefined ? {} : PRESETS[name];
  const secrets = texts(issuer.secret);
  if (iss === undefined && secrets.length === 0 && !issuer.publicKey)
    throw new Error("iss: is missing; it is needed unless there is a secret or publicKey");
  const source = readSource(issuer, secrets, preset, (url) => shareKeySet(sets, url, iss, log));
  const algorithms = or(texts(issuer.algorithms), preset.algorithms, source.usual);
  for (const algorithm of algorithms)
    if (!source.suiting.includes(algorithm))
      throw new Error(`algorithms: ${algorithm} does not suit the key`);
  checkSecrets(secrets, algorithms);
  const audience = texts(issuer.audience);
  if (source.isFetched && audience.length === 0)
    throw new Error(
      "audience: is required if keys are fetched, since the same keys sign other apps' tokens; " +
        '"*" accepts any',
    );
  return {
    keys: source.keys,
    secret: secrets[0],
    rules: {
      algorithms,
      maxLifetime: Math.round(maxLifetime * 1e6),
      issuer: iss,
      aliases: issuer.aliases ?? [],
      audience: audience.length === 0 || audience.includes("*") ? undefined : audience,
      audienceClaims: or(texts(issuer.audienceClaims), preset.audienceClaims, ["aud"]),
      user: or(texts(issuer.user), preset.user, ["sub"]),
      session: or(texts(issuer.session), preset.session, SESSION_CLAIMS),
      loginTime: or(texts(issuer.loginTime), preset.loginTime, ["auth_time"]),
      leeway: Math.round(leeway * 1e6),
    },
  };
}

const SESSION_CLAIMS = ["sid", "session_id", "origin_jti", "auth_time"];

/** @param {string | readonly string[] | undefined} given @returns {readonly string[]} */
const texts = (given) => (typeof given === "string" ? [given] : (given ?? []));

/** @param {...(readonly string[] | undefined)} lists of which the first non-empty one is returned */
const or = (...lists) => lists.find((list) => list && list.length > 0) ?? [];

/** `share` returns the key set at a URL, or the one that is discovered.
 * @param {Issuer} issuer @param {readonly string[]} secrets
 * @param {import("./presets.js").Preset} preset @param {(url?: string) => KeySet} share
 * @returns {{keys: Keys, suiting: readonly string[], usual: readonly string[], isFetched: boolean}} */
function readSource({ iss = "", discovery, jwksUrl, publicKey }, secrets, preset, share) {
  const named = { discovery: discovery && iss, jwksUrl, publicKey, secret: secrets[0] };
  const given = Object.entries(named).filter(([, value]) => value);
  if (given.length > 1)
    throw new Error(`${given.map(([name]) => name).join(", ")}: keys come from one of them`);
  if (secrets.length > 0) {
    const keys = staticKeys(secrets.map(readSecret));
    return { keys, suiting: SYMMETRIC, usual: SYMMETRIC.slice(0, 1), isFetched: false };
  }
  if (publicKey) {
    const { key, algorithms } = readPem(publicKey);
    const usual = algorithms.slice(0, 1);
    return { keys: staticKeys([key]), suiting: algorithms, usual, isFetched: false };
  }
  const isBare = given.length === 0;
  if (isBare && (discovery === false || preset.usesSecret))
    throw new Error("secret, publicKey or jwksUrl: one of them is needed");
  const bare = iss.replace(/\/+$/, "");
  const url = jwksUrl ?? (isBare && preset.jwksPath ? bare + preset.jwksPath : undefined);
  checkAddress(url ? "jwksUrl" : "discovery", url ?? iss);
  return { keys: share(url), suiting: ASYMMETRIC, usual: ASYMMETRIC, isFetched: true };
}

/** The key set at a URL, or else the one that is discovered from `iss`.
 * @param {KeySets} sets @param {string | undefined} url @param {string | undefined} iss
 * @param {(text: string) => void} log @returns {KeySet} */
function shareKeySet(sets, url, iss = "", log) {
  const name = url ? `set ${url}` : `discovery ${iss}`;
  const known = sets.get(name);
  if (known) return known;
  /** @param {AbortSignal} signal */
  const locate = (signal) => (url ? Promise.resolve(url) : discover(iss, signal));
  const made = new KeySet(locate, (text) => log(`logout-hub-guard: ${url || iss}: ${text}`));
  sets.set(name, made);
  return made;
}

/** @param {readonly string[]} secrets @param {readonly string[]} algorithms */
function checkSecrets(secrets, algorithms) {
  if (secrets.length === 0) return;
  const need = Math.max(
    ...algorithms.map((name) => HASH_BYTES[/** @type {keyof typeof HASH_BYTES} */ (name)]),
  );
  if (secrets.some((secret) => Buffer.byteLength(secret) < need))
    throw new Error(`secret: must have at least ${need} bytes (RFC 7518, 3.2)`);
}

/** Check that entries do not conflict: a name belongs to one `iss`, and each token matches one entry.
 * @param {readonly Entry[]} entries */
function checkEntries(entries) {
  /** @type {Map<string, string>} */
  const owners = new Map();
  const taken = new Set();
  for (const { rules } of entries) {
    const iss = rules.issuer ?? "";
    for (const name of [iss, ...rules.aliases]) {
      const owner = owners.get(name) ?? iss;
      if (owner !== iss) throw new Error(`aliases: ${name} already belongs to ${owner}`);
      owners.set(name, iss);
    }
    for (const algorithm of rules.algorithms) {
      if (taken.has(`${iss} ${algorithm}`))
        throw new Error(`${iss}: two entries match its ${algorithm} tokens`);
      taken.add(`${iss} ${algorithm}`);
    }
  }
}
