export type Entry = {
    hub: string;
    key: string;
    command: Command;
    at: number;
    session?: string;
    user?: string;
    token?: string;
};
export type Command = {
    scope: string;
    sid?: string;
    reason?: string;
    message?: string;
};
import type { Core, Hooks } from "./core.js";
/** @param {Core} core @returns {Hooks} */
export declare function offline(core: Core): Hooks;
