/** Clears what the browser stores for a site besides the web storages. */
/** @import { IsKept, Step } from "./clearing.js" */
/** @import { Core, Hooks } from "./core.js" */
import type { Core, Hooks } from "./core.js";
/** @param {Pick<Core, "options">} core @returns {Hooks} */
export declare const siteData: ({ options }: Pick<Core, "options">) => Hooks;
