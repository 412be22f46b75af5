/** Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export type Event = {
    type: string;
    data: string;
    id: string;
};
/** @typedef {{type: string, data: string, id: string}} Event `id` is the last id of the stream so
 *   far */
/** How many characters an event may have. */
export declare const MAX_EVENT = 16000000;
export declare class EventParser {
    #private;
    /** @param {(event: Event) => void} onEvent @param {string} [lastId] where the stream resumes
     * @param {number} [max] characters of one event */
    constructor(onEvent: (event: Event) => void, lastId?: string, max?: number);
    /** Read some bytes, which may end anywhere; throws a RangeError if an event is too long.
     * @param {Uint8Array} bytes */
    read(bytes: Uint8Array): void;
}
