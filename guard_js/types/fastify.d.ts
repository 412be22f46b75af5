export type Guard = import("./guard.js").Guard;
export type Identity = import("./verdict.js").Identity;
export type FastifyRequest = {
    raw: import("node:http").IncomingMessage;
    session?: any;
    hubIdentity?: Identity | null;
};
export type FastifyReply = {
    raw: import("node:http").ServerResponse;
    code: (status: number) => any;
    headers: (headers: Record<string, string>) => any;
    send: (body: string) => any;
};
export type FastifyInstance = {
    hasRequestDecorator: (name: string) => boolean;
    decorateRequest: (name: string, value: null) => unknown;
    addHook: (name: any, hook: any) => unknown;
};
export type PluginOptions = import("./gate.js").GateOptions<any> & {
    guard: Guard;
    cutStreams?: boolean;
};
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */
/** What the plugin needs of Fastify.
 * @typedef {{raw: import("node:http").IncomingMessage, session?: any,
 *   hubIdentity?: Identity | null}} FastifyRequest */
/** @typedef {{raw: import("node:http").ServerResponse, code: (status: number) => any,
 *   headers: (headers: Record<string, string>) => any, send: (body: string) => any}} FastifyReply */
/** @typedef {{hasRequestDecorator: (name: string) => boolean,
 *   decorateRequest: (name: string, value: null) => unknown,
 *   addHook: (name: any, hook: any) => unknown}} FastifyInstance */
/** `session` and `forget` are given Fastify's request.
 * @typedef {import("./gate.js").GateOptions<any> & {guard: Guard, cutStreams?: boolean}} PluginOptions */
/** Admit requests of living sessions, and end streams when theirs ends. `request.hubIdentity` is who
 * sent a request. With `session`, register it after the plugin that makes `request.session`. Errors
 * from `session` or `forget` go to the app's error handlers.
 * @param {FastifyInstance} fastify @param {PluginOptions} options */
export declare function guardPlugin(fastify: FastifyInstance, { guard, session, forget, cutStreams, ...options }: PluginOptions): Promise<void>;
