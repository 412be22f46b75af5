/** Ties a watch to the life of the response or socket that it is for. */
export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
export type Life = [emitter: any, event: string];
/** Watch a session while its client is there. If the client has left already, as it may while its
 * request is checked, nothing is watched: nothing would ever end the watch.
 * @param {Guard} guard @param {Identity} identity @param {readonly Life[]} lives */
export declare function watchWhile(guard: Guard, identity: Identity, lives: readonly Life[]): import("./watches.js").Watch;
/** Call a function when the first of these is over, or at once if one is.
 * @param {readonly Life[]} lives @param {() => void} call */
export declare function whenOver(lives: readonly Life[], call: () => void): void;
