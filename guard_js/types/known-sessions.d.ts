export type FeedState = import("./feed-state.js").FeedState;
export type Names = import("./revocations.js").Names;
export type Identity = import("./verdict.js").Identity;
export type Named = {
    iss: string;
    names: Names;
};
export declare class KnownSessions {
    #private;
    /** @param {FeedState} state
     * @param {(issuer?: string) => string} resolve returns the `iss` of the entry that is meant */
    constructor(state: FeedState, resolve: (issuer?: string) => string);
    /** A session, and the keys of facts about it; throws a HubError if there can be no such session.
     * @param {string} user @param {string} sid @param {number} loggedInAt in NumericDate seconds
     * @param {string} [issuer] @returns {{identity: Identity, names: Names}} */
    find(user: string, sid: string, loggedInAt: number, issuer?: string): {
        identity: Identity;
        names: Names;
    };
}
