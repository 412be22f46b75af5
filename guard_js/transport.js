/** HTTP to the hub, over Node's own client. */
import * as http from "node:http";
import * as https from "node:https";

/** @typedef {{method?: string, headers: Record<string, string>, body?: string, signal: AbortSignal,
 *   agent?: false}} Call */

const MAX_ANSWER = 65_536;
/** Connections for questions to each address: a stale guard must not flood the hub. */
const MAX_SOCKETS = 32;
const AGENTS = { keepAlive: true, maxSockets: MAX_SOCKETS };
const plain = new http.Agent(AGENTS);
const secure = new https.Agent(AGENTS);

/** @param {string} address of a hub @param {string} path @param {Call} call */
export function open(address, path, { method = "GET", headers, body, signal, agent }) {
  const url = new URL(address.replace(/\/+$/, "") + path);
  const isSecure = url.protocol === "https:";
  const options = { method, headers, signal, agent: agent ?? (isSecure ? secure : plain) };
  const request = (isSecure ? https : http).request(url, options);
  request.end(body);
  return request;
}

/** Send a request, and read the whole answer.
 * @param {string} address @param {string} path @param {Call} call
 * @returns {Promise<{status: number, headers: http.IncomingHttpHeaders, text: string}>} */
export function send(address, path, call) {
  return new Promise((resolve, reject) => {
    const request = open(address, path, call);
    request.on("error", reject);
    request.on("response", (response) => {
      readText(response).then((text) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      }, reject);
    });
  });
}

/** The text of an answer. @param {http.IncomingMessage} response */
export async function readText(response) {
  /** @type {Buffer[]} */
  const parts = [];
  let size = 0;
  for await (const part of response) {
    size += part.length;
    if (size > MAX_ANSWER) throw new Error("the answer is too long");
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
