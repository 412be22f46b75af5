/**
 * Goes to the login page once the app has been notified of the end, but not in a loop: a provider
 * whose own session continues may send the page back at once, with the login that was just ended.
 *
 * @typedef {string | ((notification: LogoutNotification & {reauthenticate: boolean}) =>
 *   string | undefined | Promise<string | undefined>)} LoginUrl a function is given the reason,
 *   and whether people have to authenticate again; without an address the page stays
 */
/** @import { Core, Hooks } from "./core.js" */
/** @import { LogoutNotification } from "./frames.js" */
export type LoginUrl = string | ((notification: LogoutNotification & {
    reauthenticate: boolean;
}) => string | undefined | Promise<string | undefined>);
import type { Core, Hooks } from "./core.js";
import type { LogoutNotification } from "./frames.js";
/** @param {Core} core @returns {Hooks} */
export declare function login({ options: { loginUrl }, session }: Core): Hooks;
