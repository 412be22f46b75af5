export type Names = import("./revocations.js").Names;
export type Named = {
    iss: string;
    names: Names;
};
export declare class KnownSessions {
    #private;
    /** @param {(issuer?: string) => string} resolve returns the `iss` of the entry that is meant */
    constructor(resolve: (issuer?: string) => string);
    /** Where the facts about a session are; throws a HubError if there can be no such session.
     * @param {string} user @param {string} sid @param {string} [issuer] @returns {Named} */
    find(user: string, sid: string, issuer?: string): Named;
}
