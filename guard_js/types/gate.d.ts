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
     * paths that nobody is asked for, such as `/health`, or
     * `/static/*` for all that begin so
     */
    exempt?: readonly string[];
    /**
     * where browsers are sent that navigate without a living session, by
     * 303 and with the address they wanted in `next`; others get problem details (RFC 9457)
     */
    loginUrl?: string;
    /**
     * the cookie with the token, for requests without `Authorization`
     */
    cookie?: string;
    /**
     * other origins whose pages may use the cookie
     */
    origins?: readonly string[];
    /**
     * for sessions of the app's own: the login of a request. Tokens are then not looked at
     */
    session?: (request: Request) => Login | null | undefined | Promise<Login | null | undefined>;
    /**
     * drops an app's session that has ended: by default
     * `request.session.regenerate` of express-session
     */
    forget?: (request: Request) => unknown;
    /**
     * whether requests without any credentials are refused: true
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
    /** How a request is refused: problem details, or the way to the login for a page.
     * @param {unknown} error @param {Request} request @returns {Answer} */
    refuse(error: unknown, request: Request): Answer;
}
/** The value of a cookie (RFC 6265). A sibling subdomain can set one of the same name, and servers
 * cannot tell which is theirs: several are refused.
 * @param {string} header @param {string} name @returns {string | undefined} */
export declare function findCookie(header: string, name: string): string | undefined;
