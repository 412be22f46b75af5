export type FeedState = import("./feed-state.js").FeedState;
export type Heard = import("./feed-state.js").Heard;
export type IncomingMessage = import("node:http").IncomingMessage;
/** @typedef {import("./feed-state.js").FeedState} FeedState */
/** @typedef {import("./feed-state.js").Heard} Heard */
/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** Milliseconds. A connection without a byte for `silence` is given up, since the hub confirms each
 * second; for `firstSilence` before the first confirmation, since it may have to read its log. */
export declare const TIMING: {
    silence: number;
    firstSilence: number;
};
export declare class Feed {
    #private;
    /** @param {{addresses: readonly string[], token: string, state: FeedState, clock: () => number,
     *   onConnect: () => void, onHeard: (heard: Heard) => void, onEnd: () => void,
     *   log: (text: string) => void}} options `onConnect` is called when a feed is there, `onHeard` with
     *   what each event told, `onEnd` when the feed has ended, or there was none */
    constructor({ addresses, token, state, clock, onConnect, onHeard, onEnd, log }: {
        addresses: readonly string[];
        token: string;
        state: FeedState;
        clock: () => number;
        onConnect: () => void;
        onHeard: (heard: Heard) => void;
        onEnd: () => void;
        log: (text: string) => void;
    });
    /** The address that the feed is read from, or is tried next. */
    address: string;
    close(): void;
    /** Follow the feed until it is closed. */
    follow(): Promise<void>;
}
