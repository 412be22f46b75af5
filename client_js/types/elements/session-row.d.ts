import type { ListedSession } from "../core.js";
import type { Words } from "./texts.js";
export type Row = ReturnType<typeof createRow>;
/** @param {Words} words @param {ListedSession} session @returns {(Node | string)[]} when its login
 * began and from where, to distinguish devices of the same name */
export declare const describeOrigin: (words: Words, { created_at, ip }: ListedSession) => (Node | string)[];
/** @param {ListedSession} first @param {number} number one that no other row has
 * @param {(row: Row) => unknown} end */
export declare function createRow(first: ListedSession, number: number, end: (row: Row) => unknown): {
    element: any;
    button: HTMLButtonElement;
    session: ListedSession;
    /** @param {Words} words @param {ListedSession} session */
    update(words: Words, session: ListedSession): void;
};
