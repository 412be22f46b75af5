import type { Receipt } from "../core.js";
import { HubElement } from "./hub-element.js";
export declare class SessionList extends HubElement {
    #private;
    constructor();
    /** @param {AbortSignal} signal */
    appeared(signal: AbortSignal): void;
    joined(): void;
    othersEnded(): void;
    /** @param {Receipt} answer */
    delivered(answer: Receipt): void;
    /** @param {string} state */
    stateChanged(state: string): void;
    /** Removes the names of devices, which are private. @param {string} message */
    ended(message: string): void;
    /** Asks the hub for the list now. */
    refresh(): Promise<void>;
    retext(): void;
}
