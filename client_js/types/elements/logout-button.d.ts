import type { Receipt } from "../core.js";
import { HubElement } from "./hub-element.js";
export type Scope = "session" | "others" | "all";
export declare class LogoutButton extends HubElement {
    #private;
    constructor();
    joined(): void;
    /** @param {string} message */
    ended(message: string): void;
    retext(): void;
    /** @param {Receipt} answer */
    delivered(answer: Receipt): void;
}
