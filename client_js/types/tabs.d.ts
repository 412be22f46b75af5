import type { Core, Hooks } from "./core.js";
/** Tabs of other sessions ignore the message, so that a late one does not end a new login.
 * @param {Core} core @returns {Hooks} */
export declare function tabs(core: Core): Hooks;
