import type { Core, Hooks } from "./core.js";
/** A tab of another session does not listen, so that a late message undoes no fresh login.
 * @param {Core} core @returns {Hooks} */
export declare function tabs(core: Core): Hooks;
