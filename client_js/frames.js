/**
 * What the hub sends: packets of Socket.IO 5 in Engine.IO 4, and why a session ended.
 *
 * @typedef {{id?: string, scope?: string, reason?: string, message?: string | null,
 *   sid?: string | null, at?: number, by?: string, profile?: string, pending?: boolean,
 *   reauthenticate?: boolean}}
 *   LogoutNotification why the session ended, as far as known; `by` is the issuer that said so,
 *   `profile` how much it wants cleared; `pending` if the logout has not reached the hub
 *   yet; `reauthenticate` if the provider would still let the old login in (`prompt=login`)
 * @typedef {{code: string, title?: string, detail?: string, retryable?: boolean, logout?: object}} Refusal
 */

const MEMBERS = "at by id profile scope reason message sid pending reauthenticate".split(" ");

/** @param {any} data @returns {[kind: string, body: any, id: string]} kind as digits: of
 *   Engine.IO, and of Socket.IO in a message; the body is null if there is none
 * @throws {Error} if it is not a packet */
export function parseFrame(data) {
  // Throws if this is not a string.
  const [, kind, id, body] = data.match(/^([0126]|4[0-4])(\d*)(.*)$/s);
  return [kind, JSON.parse(body || "null"), id];
}

/** @param {any} source @param {LogoutNotification} [otherwise] @returns {LogoutNotification} */
export function toNotification(source, otherwise) {
  return JSON.parse(JSON.stringify({ ...otherwise, ...source }, MEMBERS));
}

/** @param {LogoutNotification | undefined} data
 * @returns {Refusal | false} what it is when a token expired */
export const toExpiry = (data) =>
  data?.reason === "expired" && { code: "token_expired", logout: data };

/** @param {any} data what came with a CONNECT_ERROR @param {string} message @returns {Refusal} */
export const toRefusal = (data, message) => ({ code: message, title: message, ...data });
