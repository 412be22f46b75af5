export type Entry = import("./issuers.js").Entry;
export type Issuers = import("./issuers.js").Issuers;
export type TicketOptions = {
    /**
     * the `iss` of the user's issuer entry
     */
    issuer?: string;
    /**
     * when the login began, by `guard.now()`
     */
    loginTime?: number;
    /**
     * how long the ticket is valid: 300
     */
    lifetime?: number;
    /**
     * the user's name, for people
     */
    name?: string;
    /**
     * further claims
     */
    claims?: Record<string, unknown>;
};
/** A ticket for a session, with the claims that the issuer entry with the secret expects. `now` is
 * the store's time. Rejects with `unavailable` if there is no secret.
 * @param {Issuers} issuers @param {string | undefined} secret
 * @param {{user: string, sid: string, now: number} & TicketOptions} ticket */
export declare function signTicket(issuers: Issuers, secret: string | undefined, { user, sid, now, ...options }: {
    user: string;
    sid: string;
    now: number;
} & TicketOptions): Promise<string>;
