import type { Options } from "./session.js";
/** @param {string} module the address of the module that the tag loads
 * @returns {Options & {logoutIn?: string} | undefined} undefined when no tag of the page asks for a client */
export declare function readScriptTag(module: string): (Options & {
    logoutIn?: string;
}) | undefined;
/** Logs out at clicks on `<button data-logout>`, with the scope as its value. Only a button:
 * most apps let users write links with `data-` attributes.
 * @param {(options: {scope: any}) => Promise<unknown>} logout @param {string} [within] a selector of
 *   the element with the buttons, for apps that let users write buttons too */
export declare function onLogoutClick(logout: (options: {
    scope: any;
}) => Promise<unknown>, within?: string): void;
