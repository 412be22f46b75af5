export type Hash = import("./keyed-hash.js").Hash;
export type Fact = import("./verdict.js").Fact;
export type Facts = import("./verdict.js").Facts;
export type Identity = import("./verdict.js").Identity;
export type Reason = import("./verdict.js").Reason;
export type Scope = import("./verdict.js").Scope;
export type Revocation = {
    scope: Scope;
    reason: Reason;
    at: number;
    iss?: string;
    user?: string | null;
    sid?: string | null;
    sessions?: string[];
    before?: number | null;
    partition?: number | null;
    id?: string;
    message?: string | null;
    by?: string | null;
    profile?: string | null;
};
export type Names = {
    sid: string;
    userKey: string;
    crc: number;
    userSession: Hash;
    issuerSession: Hash;
    user: Hash;
};
/** The keys under which the facts about a session are found. @param {Pick<Identity, "iss" | "userKey" | "sid">} identity
 * @returns {Names} */
export declare function namesOf({ iss, userKey: key, sid }: Pick<Identity, "iss" | "userKey" | "sid">): Names;
export declare class Revocations {
    #private;
    /** How many revocations are in force. */
    get size(): number;
    /** Add a logout; returns whether it was not known before. @param {Revocation} one */
    apply(one: Revocation): boolean;
    /** What is known of a session. @param {Names} names @param {number} partition
     * @returns {Facts} */
    facts(names: Names, partition: number): Facts;
    /** Apply logouts of one partition's users to everyone, since partitions are renumbered. */
    forgetPartitions(): void;
    /** Forget what was written before `oldest`, in microseconds. @param {number} oldest */
    forget(oldest: number): void;
}
