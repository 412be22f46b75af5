/**
 * Leads to the page's login once all is told, but not round and round: a provider whose own session
 * goes on may send the page back at once, with the very login that was ended.
 *
 * @typedef {string | ((notification: LogoutNotification & {reauthenticate: boolean}) =>
 *   string | undefined | Promise<string | undefined>)} LoginUrl a function is told why, and whether
 *   people have to prove anew who they are; without an address the page stays
 */
/** @import { Core, Part } from "./core.js" */
/** @import { LogoutNotification } from "./frames.js" */
export type LoginUrl = string | ((notification: LogoutNotification & {
    reauthenticate: boolean;
}) => string | undefined | Promise<string | undefined>);
import type { Core, Part } from "./core.js";
import type { LogoutNotification } from "./frames.js";
/** @param {Core} core @returns {Part} */
export declare function login({ options: { loginUrl }, session }: Core): Part;
