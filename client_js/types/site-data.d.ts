/** Clears what the browser keeps for a site beside the web storages. */
/** @import { IsKept, Step } from "./clearing.js" */
/** @import { Core, Part } from "./core.js" */
import type { Core, Part } from "./core.js";
/** @param {Pick<Core, "options">} core @returns {Part} */
export declare const siteData: ({ options }: Pick<Core, "options">) => Part;
