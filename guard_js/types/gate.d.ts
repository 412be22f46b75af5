export type IncomingMessage = import("node:http").IncomingMessage;
export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
export type Login = {
    user: string;
    sid: string;
    loggedInAt: number;
    issuer?: string;
};
export type GateOptions<Request> = {
    /**
     * paths that need no session, such as `/health`, or `/static/*`
     * for all that start with `/static/`
     */
    exempt?: readonly string[];
    /**
     * where a browser that navigates without a living session is redirected
     * (303), with the address it wanted in `next`; other requests get problem details (RFC 9457)
     */
    loginUrl?: string;
    /**
     * the cookie that holds the token, for requests without `Authorization`
     */
    cookie?: string;
    /**
     * other origins whose pages may use the cookie
     */
    origins?: readonly string[];
    /**
     * for the app's own sessions: returns the login of a request. Tokens are then ignored
     */
    session?: (request: Request) => Login | null | undefined | Promise<Login | null | undefined>;
    /**
     * drops an app's session that has ended: by default
     * `request.session.regenerate` of express-session
     */
    forget?: (request: Request) => unknown;
    /**
     * whether requests without credentials are refused: true
     */
    require?: boolean;
};
export type Answer = {
    status: number;
    headers: Record<string, string>;
    body: string;
};
/** @template {IncomingMessage} Request */
export declare class Gate<Request extends IncomingMessage> {
    #private;
    /** @param {Guard} guard @param {GateOptions<Request>} [options] */
    constructor(guard: Guard, options?: GateOptions<Request>);
    /** Who sent a request; undefined if it may be without credentials, and is. Rejects with a HubError,
     * or what a function of the app throws.
     * @param {Request} request @param {Identity} [before] who it is by the middleware before this one
     * @returns {Promise<Identity | undefined>} */
    admit(request: Request, before?: Identity): Promise<Identity | undefined>;
    /** How a request is refused: problem details, or a redirect to the login for a page.
     * @param {unknown} error @param {Request} request @returns {Answer} */
    refuse(error: unknown, request: Request): Answer;
}
/** The value of a cookie (RFC 6265). Several of one name are refused: a sibling subdomain can set
 * another, and a server cannot tell which is its own.
 * @param {string} header @param {string} name @returns {string | undefined} */
export declare function findCookie(header: string, name: string): string | undefined;
