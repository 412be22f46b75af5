/** The guard for Node: refuses ended sessions in a backend, and closes its sockets and streams. */
export { HubError, problem } from "./errors.js";
export { Guard } from "./guard.js";
export { CLOSE_CODE } from "./watches.js";
export type Options = import("./options.js").Options;
export type TicketOptions = import("./tickets.js").TicketOptions;
export type Issuer = import("./issuers.js").Issuer;
export type Revocation = import("./revocations.js").Revocation;
export type Identity = import("./verdict.js").Identity;
export type Reason = import("./verdict.js").Reason;
export type Ending = import("./watches.js").Ending;
export type Watch = import("./watches.js").Watch;
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./tickets.js").TicketOptions} TicketOptions */
/** @typedef {import("./issuers.js").Issuer} Issuer */
/** @typedef {import("./revocations.js").Revocation} Revocation */
/** @typedef {import("./verdict.js").Identity} Identity */
/** @typedef {import("./verdict.js").Reason} Reason */
/** @typedef {import("./watches.js").Ending} Ending */
/** @typedef {import("./watches.js").Watch} Watch */
