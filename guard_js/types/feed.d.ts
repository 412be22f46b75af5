export type FeedState = import("./feed-state.js").FeedState;
export type Update = import("./feed-state.js").Update;
export type IncomingMessage = import("node:http").IncomingMessage;
/** @typedef {import("./feed-state.js").FeedState} FeedState */
/** @typedef {import("./feed-state.js").Update} Update */
/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** Milliseconds. The hub confirms once a second, so a connection that is silent for `silence` is
 * given up. Before the first confirmation, it is `firstSilence`: the hub may have to read its log. */
export declare const TIMING: {
    silence: number;
    firstSilence: number;
};
export declare class Feed {
    #private;
    /** @param {{addresses: readonly string[], token: string, state: FeedState, clock: () => number,
     *   onConnect: () => void, onUpdate: (update: Update) => void, onEnd: () => void,
     *   log: (text: string) => void}} options `onConnect` is called when a feed is there, `onUpdate` with
     *   the data of each event, `onEnd` when the feed has ended, or could not be opened */
    constructor({ addresses, token, state, clock, onConnect, onUpdate, onEnd, log }: {
        addresses: readonly string[];
        token: string;
        state: FeedState;
        clock: () => number;
        onConnect: () => void;
        onUpdate: (update: Update) => void;
        onEnd: () => void;
        log: (text: string) => void;
    });
    /** The address that the feed is read from, or the next one to try. */
    address: string;
    close(): void;
    /** Follow the feed until it is closed. */
    follow(): Promise<void>;
}
