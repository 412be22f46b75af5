/**
 * What the hub says and hears: frames of Engine.IO 4 with Socket.IO 5 in them, why it refuses, why
 * a session ended.
 *
 * @typedef {{id?: string, scope?: string, reason?: string, message?: string | null,
 *   sid?: string | null, at?: number, pending?: boolean}} LogoutNotification why the session ended,
 *   as far as known; `pending` when the hub has not heard of it yet
 * @typedef {{code: string, title: string, retryable: boolean, logout?: object}} Refusal
 */

/** @param {any} value */
export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {string} text @returns {any} undefined when it is not JSON */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Timers of more than 2^31 ms fire at once, so absurd ones are refused. @param {any} ms */
const isWait = (ms) => Number.isFinite(ms) && ms > 0 && ms < 2 ** 30;

/** @type {Record<string, [type: string, fits?: (body: any, id: string) => boolean]>} */
const FRAMES = {
  0: ["open", (body) => isWait(body?.pingInterval) && isWait(body?.pingTimeout)],
  1: ["close"],
  2: ["ping"],
  6: ["noop"],
  40: ["accepted", isObject],
  41: ["disconnect"],
  42: ["event", (body) => Array.isArray(body) && typeof body[0] === "string"],
  43: ["ack", (body, id) => Array.isArray(body) && id !== ""],
  44: ["refused", isObject],
};

/** @param {unknown} data @returns {{type: string, id: string, body: any} | null} null: malformed */
export function parseFrame(data) {
  const [, kind, id, rest] = /^([0126]|4[0-4])(\d*)(.*)$/s.exec(String(data)) ?? [];
  if (typeof data !== "string" || kind === undefined) return null;
  const [type, fits] = FRAMES[kind];
  if (!fits) return data === kind ? { type, id, body: undefined } : null;
  const body = parseJson(rest);
  return fits(body, id) ? { type, id, body } : null;
}

/** @param {{token?: string, device?: string}} auth */
export const encodeConnect = (auth) => `40${JSON.stringify(auth)}`.replace(/^40{}$/, "40");
/** @param {string | number} id @param {string} name @param {unknown} data */
export const encodeEvent = (id, name, data) => `42${id}${JSON.stringify([name, data])}`;
/** @param {string | number} id @param {unknown} data */
export const encodeAck = (id, data) => `43${id}${JSON.stringify([data])}`;

/** @param {any} data @param {string} [message] @returns {Refusal} */
export function toRefusal(data, message) {
  const { code = message, title = message, retryable, logout } = isObject(data) ? data : {};
  return { code: String(code), title: String(title), retryable: retryable === true, logout };
}

/** @param {any} source @param {LogoutNotification} [otherwise] @returns {LogoutNotification} */
export function toNotification(source, otherwise) {
  const known = { ...otherwise, ...(isObject(source) && source) };
  const { id, scope, reason, message, sid, at, pending } = known;
  return JSON.parse(JSON.stringify({ id, scope, reason, message, sid, at, pending }));
}

/** @param {any} data a notification @returns {Refusal | undefined} what it is when a token expired */
export function toExpiry(data) {
  if (data?.reason !== "expired") return undefined;
  return { code: "token_expired", title: "The token expired", retryable: false, logout: data };
}
