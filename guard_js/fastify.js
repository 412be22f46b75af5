/** A plugin for Fastify. */
import { HubError } from "./errors.js";
import { Gate } from "./gate.js";
import { answering } from "./own-logout.js";
import { cutWithSession } from "./responses.js";

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
export async function guardPlugin(
  fastify,
  { guard, session, forget, cutStreams = true, ...options },
) {
  if (!fastify.hasRequestDecorator("hubIdentity")) fastify.decorateRequest("hubIdentity", null);
  /** The request of Fastify that one of Node belongs to.
   * @type {WeakMap<import("node:http").IncomingMessage, FastifyRequest>} */
  const requests = new WeakMap();
  const gate = new Gate(guard, {
    ...options,
    session: session && ((raw) => session(requests.get(raw))),
    forget: (raw) => (forget ?? regenerate)(requests.get(raw)),
  });
  fastify.addHook(
    "onRequest",
    async (/** @type {FastifyRequest} */ request, /** @type {FastifyReply} */ reply) => {
      requests.set(request.raw, request);
      const before = request.hubIdentity ?? undefined;
      let identity;
      try {
        identity = await gate.admit(request.raw, before);
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        const { status, headers, body } = gate.refuse(error, request.raw);
        return reply.code(status).headers(headers).send(body);
      }
      request.hubIdentity = identity ?? null;
      if (identity && identity !== before && cutStreams)
        cutWithSession(guard, identity, request.raw, reply.raw);
    },
  );
  // Not earlier: a body that is parsed after that would leave its context.
  fastify.addHook(
    "preValidation",
    (
      /** @type {FastifyRequest} */ request,
      /** @type {FastifyReply} */ _,
      /** @type {() => void} */ done,
    ) => answering(request.raw, done),
  );
}

// Without this, Fastify would apply the hook only to routes registered inside the plugin.
Object.assign(guardPlugin, { [Symbol.for("skip-override")]: true });

/** Drop an ended session of @fastify/session. @param {FastifyRequest | undefined} request */
const regenerate = (request) => request?.session?.regenerate?.();
