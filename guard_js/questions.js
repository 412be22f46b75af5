/** A guard's calls to the hub: whether a token is accepted, and to end a session. */
import { HubError, isCode } from "./errors.js";
import { describe } from "./key-sets.js";
import { micros } from "./names.js";
import { send } from "./transport.js";

/** @typedef {import("./transport.js").Call} Call */

/** Seconds within which the hub has to answer, by whichever of its addresses. */
const PATIENCE = 3;

/** Why the hub refuses a token, if it does, and when it was asked by the guard's clock.
 * @typedef {{refusal: HubError | undefined, askedAt: number}} Answer */

export class Questions {
  #addresses;
  #clock;
  #measure;
  /** Questions without an answer yet, by subject and `mark`.
   * @type {Map<string, {askedAt: number, answer: Promise<Answer>}>} */
  #pending = new Map();

  /** @param {{addresses: () => readonly string[], clock: () => number,
   *   measure: (name: "ask_seconds" | "asks_failed", value: number) => void}} options `addresses` are
   *   the hub's, beginning with the best one; `clock` counts seconds, also while the machine sleeps */
  constructor({ addresses, clock, measure }) {
    this.#addresses = addresses;
    this.#clock = clock;
    this.#measure = measure;
  }

  /** Why the hub refuses a token, if it does: `unavailable` if it does not say. A question that was
   * asked at most `age` seconds ago is not asked again, unless `mark` has changed: an answer from
   * before a logout arrived says nothing about that logout.
   * @param {string} token @param {number} age @param {string} mark the facts that are known
   * @param {string} [subject] what a question is the same about: the token
   * @returns {Promise<Answer>} */
  verify(token, age, mark, subject = token) {
    const name = `${subject} ${mark}`;
    const pending = this.#pending.get(name);
    const askedAt = this.#clock();
    if (pending && askedAt - pending.askedAt <= age) return pending.answer;
    const answer = this.#verify(token).then((refusal) => {
      if (this.#pending.get(name)?.answer === answer) this.#pending.delete(name);
      if (refusal?.code === "unavailable") this.#measure("asks_failed", 1);
      else this.#measure("ask_seconds", this.#clock() - askedAt);
      return { refusal, askedAt };
    });
    this.#pending.set(name, { askedAt, answer });
    return answer;
  }

  /** @param {string} token */
  async #verify(token) {
    try {
      const headers = { Authorization: `Bearer ${token}` };
      const answer = await this.#send("/verify", 204, { headers });
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
      answer = await this.#send(path, 200, call);
    } catch (error) {
      throw new HubError("unavailable", `the hub cannot be asked: ${describe(error)}`);
    }
    if (answer.status !== 200) throw readProblem(answer);
    return JSON.parse(answer.text);
  }

  /** Try one address after another, until a hub answers with this status, or says why not.
   * @param {string} path @param {number} status @param {Omit<Call, "signal">} call */
  async #send(path, status, call) {
    const [addresses, deadline] = [this.#addresses(), this.#clock() + PATIENCE];
    let trouble;
    for (const [place, address] of addresses.entries()) {
      try {
        const share = Math.max(0, deadline - this.#clock()) / (addresses.length - place);
        const signal = AbortSignal.timeout(Math.ceil(share * 1000));
        const answer = await send(address, path, { ...call, signal });
        if (answer.status === status) return answer;
        trouble = readProblem(answer);
        if (trouble.code !== "unavailable") return answer;
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
