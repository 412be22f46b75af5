/** Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */

/** @typedef {{type: string, data: string, id: string}} Event `id` is the last id of the stream so
 *   far */

/** How many characters an event may have. */
export const MAX_EVENT = 16_000_000;

export class EventParser {
  #onEvent;
  #max;
  #decoder = new TextDecoder();
  /** The beginning of a line whose end has not arrived yet. */
  #partial = "";
  #endedInReturn = false;
  #type = "";
  /** @type {string[]} */
  #data = [];
  #size = 0;
  #id;

  /** @param {(event: Event) => void} onEvent @param {string} [lastId] where the stream resumes
   * @param {number} [max] characters of one event */
  constructor(onEvent, lastId = "", max = MAX_EVENT) {
    this.#onEvent = onEvent;
    this.#id = lastId;
    this.#max = max;
  }

  /** Read some bytes, which may end anywhere; throws a RangeError if an event is too long.
   * @param {Uint8Array} bytes */
  read(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return;
    // A line feed after a carriage return belongs to it, even across two chunks.
    let from = this.#endedInReturn && text[0] === "\n" ? 1 : 0;
    this.#endedInReturn = text.endsWith("\r");
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = from;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      const line = this.#partial + text.slice(from, end.index);
      from = ends.lastIndex;
      this.#partial = "";
      this.#readLine(line);
    }
    this.#partial += text.slice(from);
    this.#bound(this.#partial.length);
  }

  /** @param {string} line */
  #readLine(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const skipped = line[colon + 1] === " " ? 2 : 1;
    const value = colon < 0 ? "" : line.slice(colon + skipped);
    if (field === "event") this.#type = value;
    if (field === "id" && !value.includes("\0")) this.#id = value;
    if (field !== "data") return;
    this.#bound(value.length);
    this.#data.push(value);
    this.#size += value.length + 1;
  }

  #dispatch() {
    const [type, data] = [this.#type || "message", this.#data];
    this.#type = "";
    this.#data = [];
    this.#size = 0;
    if (data.length > 0) this.#onEvent({ type, data: data.join("\n"), id: this.#id });
  }

  /** @param {number} more */
  #bound(more) {
    if (this.#size + more > this.#max) throw new RangeError("an event of the feed is too long");
  }
}
