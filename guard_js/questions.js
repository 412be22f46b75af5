/** A guard's calls to the hub: whether a token is accepted, and to end a session. */
import { HubError, isCode } from "./errors.js";
import { describe } from "./key-sets.js";
import { micros } from "./names.js";
import { send } from "./transport.js";

/** @typedef {import("./transport.js").Call} Call */

const TIMEOUT_MS = 2000;

export class Questions {
  #addresses;
  /** Questions without an answer yet, by token and `mark`.
   * @type {Map<string, {asked: number, answer: Promise<HubError | undefined>}>} */
  #pending = new Map();

  /** @param {() => readonly string[]} addresses the hub's, beginning with the best one */
  constructor(addresses) {
    this.#addresses = addresses;
  }

  /** Why the hub refuses a token, if it does: `unavailable` if it does not say. A question that was
   * asked at most `age` seconds ago is not asked again, unless `mark` has changed: an answer from
   * before a logout arrived says nothing about that logout.
   * @param {string} token @param {number} age @param {string} mark the facts that are known
   * @returns {Promise<HubError | undefined>} */
  verify(token, age, mark) {
    const name = `${token} ${mark}`;
    const pending = this.#pending.get(name);
    const now = performance.now() / 1000;
    if (pending && now - pending.asked <= age) return pending.answer;
    const answer = this.#verify(token).finally(() => {
      if (this.#pending.get(name)?.answer === answer) this.#pending.delete(name);
    });
    this.#pending.set(name, { asked: now, answer });
    return answer;
  }

  /** @param {string} token */
  async #verify(token) {
    try {
      const answer = await this.#send("/verify", { headers: { Authorization: `Bearer ${token}` } });
      if (answer.status === 204) return undefined;
      const error = readProblem(answer);
      if (error.status === 401 && error.code !== "token_missing") return error;
      return new HubError("unavailable", `the hub answered ${answer.status} to /verify`);
    } catch (cause) {
      return new HubError("unavailable", `the hub cannot be asked: ${describe(cause)}`, { cause });
    }
  }

  /** Call the hub as an administrator; rejects with a HubError if it refuses.
   * @param {string} path @param {string} token @param {object} body @returns {Promise<any>} */
  async command(path, token, body) {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const call = { method: "POST", headers, body: JSON.stringify(body) };
    let answer;
    try {
      answer = await this.#send(path, call);
    } catch (error) {
      throw new HubError("unavailable", `the hub cannot be asked: ${describe(error)}`);
    }
    if (answer.status !== 200) throw readProblem(answer);
    return JSON.parse(answer.text);
  }

  /** Try one address after another, until one answers.
   * @param {string} path @param {Omit<Call, "signal">} call */
  async #send(path, call) {
    let trouble;
    for (const address of this.#addresses()) {
      try {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        const answer = await send(address, path, { ...call, signal });
        if (answer.status < 500) return answer;
        trouble = readProblem(answer);
      } catch (error) {
        trouble = error;
      }
    }
    throw trouble;
  }
}

/** The error in an answer. @param {{status: number, text: string,
 *   headers: import("node:http").IncomingHttpHeaders}} answer */
function readProblem({ status, text, headers }) {
  /** @type {any} */
  let problem = {};
  try {
    problem = JSON.parse(text) ?? {};
  } catch {}
  if (!isCode(problem.code) || new HubError(problem.code).status !== status)
    return new HubError("unavailable", `the hub answered ${status}`);
  const { code, detail, reason, scope } = problem;
  const at = typeof problem.at === "number" ? micros(problem.at) : undefined;
  const logout = at === undefined ? undefined : { at, horizon: at, reason, scope };
  const retryAfter = Number(headers["retry-after"]) || undefined;
  const maxAge =
    Number(/max_age="(\d+)"/.exec(headers["www-authenticate"] ?? "")?.[1]) || undefined;
  return new HubError(code, detail, { logout, retryAfter, maxAge });
}
