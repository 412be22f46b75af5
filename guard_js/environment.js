/** Reads a guard's options from environment variables, named like the hub's settings. */
import { readFileSync } from "node:fs";

/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./issuers.js").Issuer} Issuer */
/** @typedef {Record<string, string | undefined>} Environ */

/** The variables that define an issuer entry, as in the hub. */
const ISSUER_VARIABLES = [
  "HUB_JWT_SECRET",
  "HUB_JWT_SECRET_PREVIOUS",
  "HUB_JWT_PUBLIC_KEY",
  "HUB_JWT_JWKS_URL",
  "HUB_JWT_ISSUER",
];

/** The addresses and options in the environment; throws an Error that names an invalid variable.
 * @param {Environ} environ @returns {{urls: string[], options: Options}} */
export function readEnviron(environ) {
  const onStale = environ.HUB_GUARD_ON_STALE || undefined;
  return {
    urls: split(needed(environ, "HUB_URL")),
    options: {
      token: needed(environ, "HUB_GUARD_TOKEN"),
      secret: environ.HUB_JWT_SECRET || undefined,
      adminToken: environ.HUB_ADMIN_TOKEN || undefined,
      issuers: readIssuers(environ),
      onStale: /** @type {Options["onStale"]} */ (onStale),
      maxStaleness: number(environ, "HUB_GUARD_MAX_STALENESS"),
    },
  };
}

/** @param {Environ} environ @returns {Issuer[] | undefined} */
function readIssuers(environ) {
  if (environ.HUB_ISSUERS)
    throw new Error("HUB_ISSUERS: the guard for Node does not read this file: pass `issuers`");
  if (!ISSUER_VARIABLES.some((name) => environ[name])) return undefined;
  const secrets = [environ.HUB_JWT_SECRET, environ.HUB_JWT_SECRET_PREVIOUS].filter(Boolean);
  return [
    {
      iss: environ.HUB_JWT_ISSUER || undefined,
      secret: secrets.length > 0 ? /** @type {string[]} */ (secrets) : undefined,
      publicKey: readPublicKey(environ.HUB_JWT_PUBLIC_KEY || undefined),
      jwksUrl: environ.HUB_JWT_JWKS_URL || undefined,
      algorithms: split(environ.HUB_JWT_ALGORITHMS ?? ""),
      audience: environ.HUB_JWT_AUDIENCE || undefined,
      maxLifetime: number(environ, "HUB_TOKEN_MAX_LIFETIME"),
      leeway: number(environ, "HUB_JWT_LEEWAY"),
    },
  ];
}

/** @param {string} [given] a key in PEM, or the file that holds one */
function readPublicKey(given) {
  if (given === undefined || given.startsWith("-----BEGIN")) return given;
  try {
    return readFileSync(given, "utf8");
  } catch {
    throw new Error("HUB_JWT_PUBLIC_KEY: neither a public key in PEM nor a file that holds one");
  }
}

/** @param {Environ} environ @param {string} name */
function needed(environ, name) {
  const value = environ[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** @param {Environ} environ @param {string} name */
function number(environ, name) {
  const text = environ[name];
  if (!text) return undefined;
  if (Number.isNaN(Number(text))) throw new Error(`${name}: is not a number of seconds`);
  return Number(text);
}

/** @param {string} text */
const split = (text) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
