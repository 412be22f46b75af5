/** Follows the feed of a hub until it is closed, reconnecting as needed. */
import { pipeline } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { createGunzip } from "node:zlib";
import { EventParser } from "./events.js";
import { describe } from "./key-sets.js";
import { open, readText } from "./transport.js";

/** @typedef {import("./feed-state.js").FeedState} FeedState */
/** @typedef {import("./feed-state.js").Update} Update */
/** @typedef {import("node:http").IncomingMessage} IncomingMessage */

/** Milliseconds. The hub confirms once a second, so a connection that is silent for `silence` is
 * given up. Before the first confirmation, it is `firstSilence`: the hub may have to read its log. */
export const TIMING = { silence: 3000, firstSilence: 12_000 };
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;

export class Feed {
  #addresses;
  #token;
  #state;
  #clock;
  #onConnect;
  #onUpdate;
  #onEnd;
  #log;
  #closing = new AbortController();
  /** Successive connections that confirmed nothing. */
  #failures = 0;
  #hasWarned = false;

  /** @param {{addresses: readonly string[], token: string, state: FeedState, clock: () => number,
   *   onConnect: () => void, onUpdate: (update: Update) => void, onEnd: () => void,
   *   log: (text: string) => void}} options `onConnect` is called when a feed is there, `onUpdate` with
   *   the data of each event, `onEnd` when the feed has ended, or could not be opened */
  constructor({ addresses, token, state, clock, onConnect, onUpdate, onEnd, log }) {
    this.#addresses = addresses;
    this.#token = token;
    this.#state = state;
    this.#clock = clock;
    this.#onConnect = onConnect;
    this.#onUpdate = onUpdate;
    this.#onEnd = onEnd;
    this.#log = log;
  }

  /** The address that the feed is read from, or the next one to try. */
  address = "";

  close() {
    this.#closing.abort();
  }

  /** Follow the feed until it is closed. */
  async follow() {
    const { signal } = this.#closing;
    for (let next = 0; !signal.aborted; ) {
      this.address = this.#addresses[next % this.#addresses.length];
      this.#failures += 1;
      let trouble;
      try {
        await this.#read(this.address);
      } catch (error) {
        trouble = error;
      }
      if (signal.aborted) return;
      this.#onEnd();
      // A stream that ended regularly continues at the same address.
      if (trouble || this.#failures > 0) next += 1;
      if (this.#failures > 0) this.#warn(describe(trouble ?? "the stream ended"));
      await pause(this.#delay(), undefined, { ref: false, signal }).catch(() => undefined);
    }
  }

  #delay() {
    const most = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#failures, 10));
    return Math.random() * most;
  }

  /** @param {string} why */
  #warn(why) {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#log(`cannot follow the logouts of ${this.address}: ${why}`);
  }

  /** Read one response to its end. @param {string} address */
  async #read(address) {
    const lastId = this.#state.begin(this.#clock());
    /** @type {Record<string, string>} */
    const headers = {
      Accept: "text/event-stream",
      "Accept-Encoding": "gzip",
      Authorization: `Bearer ${this.#token}`,
      "Cache-Control": "no-store",
    };
    if (lastId) headers["Last-Event-ID"] = lastId;
    const { signal } = this.#closing;
    const request = open(address, "/revocations", { headers, signal, agent: false });
    request.on("socket", (socket) => {
      // The feed alone does not keep the process running.
      socket.unref();
      socket.setTimeout(TIMING.silence);
      socket.once("connect", () => socket.setTimeout(TIMING.firstSilence));
      socket.on("timeout", () => socket.destroy(new Error("nothing arrived for seconds")));
    });
    // A byte now and then is no answer.
    const late = () => request.destroy(new Error("it did not answer in time"));
    const alarm = setTimeout(late, TIMING.firstSilence).unref();
    request.once("close", () => clearTimeout(alarm));
    /** @type {IncomingMessage} */
    const response = await new Promise((resolve, reject) => {
      request.on("response", resolve);
      request.on("error", reject);
    });
    this.#state.answer(this.#clock());
    if (response.statusCode !== 200) throw await refusalOf(response);
    clearTimeout(alarm);
    this.#onConnect();
    let confirmedAt = Number.POSITIVE_INFINITY;
    const parser = new EventParser((event) => {
      if (signal.aborted || !this.#take(event)) return;
      confirmedAt = this.#clock();
      response.socket.setTimeout(TIMING.silence);
    }, lastId);
    for await (const bytes of decompress(response)) {
      parser.read(bytes);
      if (this.#clock() - confirmedAt > TIMING.silence / 1000)
        throw new Error("it has confirmed nothing for seconds");
    }
  }

  /** Whether the event confirms something. @param {import("./events.js").Event} event */
  #take(event) {
    const update = this.#state.take(event, this.#clock());
    const isConfirmed = update.isReady || update.isConfirmed;
    if (isConfirmed) {
      this.#failures = 0;
      if (this.#hasWarned) this.#log(`following the logouts of ${this.address}`);
      this.#hasWarned = false;
    }
    this.#onUpdate(update);
    return isConfirmed;
  }
}

/** @param {IncomingMessage} response */
function decompress(response) {
  if (!/^(x-)?gzip$/i.test(response.headers["content-encoding"] ?? "")) return response;
  // Errors are thrown to the reader.
  return pipeline(response, createGunzip(), () => undefined);
}

/** @param {IncomingMessage} response */
async function refusalOf(response) {
  const text = await readText(response).catch(() => "");
  const hint = response.statusCode === 401 ? " (is the token that of HUB_GUARD_TOKEN?)" : "";
  return new Error(`it answered ${response.statusCode}${hint} ${text.slice(0, 200)}`.trimEnd());
}
