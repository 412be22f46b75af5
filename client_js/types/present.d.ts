import type { Core } from "./core.js";
/** Whether the same may be granted another time. @param {number} status */
export declare const isLater: (status: number) => boolean;
/** Whose a token is, or the cookie. @param {Core} core @param {string} [token] */
export declare function askWhose({ requests }: Core, token?: string): Promise<any>;
/** @param {Core} core */
export declare function askPresent(core: Core): Promise<{
    token: string | undefined;
    now: any;
}>;
/** Whether that is another session, as far as can be found out in time. Where tokens name no login,
 * the next one is of another session, and says no more than whose it is. @param {Core} core */
export declare function isAnother(core: Core): Promise<any>;
