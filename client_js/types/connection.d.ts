import type { Requests } from "./requests.js";
import type { Session } from "./session.js";
/** @param {Session} session @param {Requests} requests
 * @param {string} [device] */
export declare function createConnection(session: Session, { origin, check }: Requests, device?: string): {
    ask: (name: string, data: object) => Promise<any>;
    wake(): Promise<void>;
    /** The session may have been confirmed over HTTP, as the user's newer one.
     * @param {boolean} isNew */
    accepted(isNew: boolean): void;
    stopped: () => void;
    ended: () => void;
    closed(): void;
};
