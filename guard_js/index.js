/** The guard for Node: refuses ended sessions in a backend, and closes its sockets and streams. */
export { HubError, problem } from "./errors.js";
export { Guard } from "./guard.js";
export { CLOSE_CODE } from "./watches.js";

/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./tickets.js").TicketOptions} TicketOptions */
/** @typedef {import("./issuers.js").Issuer} Issuer */
/** @typedef {import("./revocations.js").Revocation} Revocation */
/** @typedef {import("./verdict.js").Identity} Identity */
/** @typedef {import("./verdict.js").Reason} Reason */
/** @typedef {import("./watches.js").Ending} Ending */
/** @typedef {import("./watches.js").Watch} Watch */
