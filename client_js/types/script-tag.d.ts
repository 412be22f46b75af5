import type { Options } from "./session.js";
/** @param {string} module the address of the module that the tag loads
 * @returns {Options & {logoutIn?: string} | undefined} undefined when no tag of the page asks for a client */
export declare function readScriptTag(module: string): (Options & {
    logoutIn?: string;
}) | undefined;
/** Logs out at clicks on `<button data-logout>`, with the scope as its value. Only a button: links
 * with `data-` attributes are what people may write in most apps.
 * @param {(options: {scope: any}) => Promise<unknown>} logout @param {string} [within] a selector of
 *   what the buttons have to be in, where people may write buttons too */
export declare function onLogoutClick(logout: (options: {
    scope: any;
}) => Promise<unknown>, within?: string): void;
