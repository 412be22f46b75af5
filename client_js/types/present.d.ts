import type { Core } from "./core.js";
/** Whether the same may be granted another time. @param {number} status */
export declare const isLater: (status: number) => boolean;
/** @param {Core} core */
export declare function askPresent({ session, requests }: Core): Promise<{
    token: string | undefined;
    now: any;
}>;
/** Whether that is another session, as far as can be found out in time. @param {Core} core */
export declare function isAnother(core: Core): Promise<boolean>;
