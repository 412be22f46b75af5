// A real OpenID provider on loopback, with two clients, for tests. Prints its issuer as a line of
// JSON. Who is asked to log in is whoever `login_hint` names, and nobody is asked to consent: the
// people in these tests have no hands. `/told` lists what became of each logout token it has sent.
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

// Node 20.10 has no URL.parse yet, which the library uses.
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);

const { clients, resource, namesLogin, receiver, namesSession } = JSON.parse(process.argv[2]);

/** A new key, by way of PEM: Node may deadlock when it exports a key that it has just generated, if
 * the garbage collector runs then. @param {any} kind @param {any} options @param {string} alg */
function newKey(kind, options, alg) {
  const { privateKey } = generateKeyPairSync(kind, {
    ...options,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { ...createPrivateKey(privateKey).export({ format: "jwk" }), alg, use: "sig", kid: alg };
}

/** @param {any} ctx what a token is made of: the code of a login, or a refresh token */
const sourceOf = ({ oidc: { entities } }) => entities.RefreshToken ?? entities.AuthorizationCode;

const server = createServer().listen(0, "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: Object.entries(clients).map(([id, algorithm]) => ({
      client_id: id,
      client_secret: `secret-of-${id}`,
      redirect_uris: [`http://127.0.0.1/${id}`],
      grant_types: ["authorization_code", "refresh_token"],
      // These two give each client's tokens the id of its own login: sid.
      backchannel_logout_uri: receiver,
      backchannel_logout_session_required: namesSession,
      id_token_signed_response_alg: algorithm,
    })),
    jwks: {
      keys: [
        newKey("rsa", { modulusLength: 2048 }, "RS256"),
        newKey("ec", { namedCurve: "P-256" }, "ES256"),
      ],
    },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    // Its own dispatcher lets no request go to loopback.
    fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        // Access tokens for this resource are JWTs (RFC 9068); all others are opaque.
        getResourceServerInfo: async (_ctx, asked, client) => ({
          scope: "orders",
          audience: asked,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: clients[client.clientId] } },
        }),
      },
    },
    // Access tokens of this library name no login by themselves.
    extraTokenClaims: async (ctx) => {
      if (!namesLogin) return undefined;
      const { sid, authTime } = sourceOf(ctx);
      return { sid, auth_time: authTime };
    },
    findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    expiresWithSession: async () => false,
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    loadExistingGrant: async ({ oidc }) => {
      const { accountId } = oidc.session;
      const grant = new provider.Grant({ accountId, clientId: oidc.client.clientId });
      grant.addOIDCScope("openid");
      grant.addResourceScope(resource, "orders");
      await grant.save();
      return grant;
    },
    pkce: { required: () => false },
    ttl: {
      AccessToken: 300,
      AuthorizationCode: 60,
      Grant: 3600,
      IdToken: 60,
      Interaction: 60,
      RefreshToken: 3600,
      Session: 3600,
    },
  });
  /** @type {{outcome: string, client: string, sid?: string, error?: string}[]} */
  const told = [];
  provider.on("backchannel.success", (_ctx, { clientId }, _accountId, sid) => {
    told.push({ outcome: "success", client: clientId, sid });
  });
  provider.on("backchannel.error", (_ctx, error, { clientId }, _accountId, sid) => {
    told.push({ outcome: "error", client: clientId, sid, error: error.message });
  });
  const answer = provider.callback();
  server.on("request", async (request, response) => {
    if (request.url === "/told") return response.end(JSON.stringify(told));
    if (!request.url?.startsWith("/interaction/")) return answer(request, response);
    const { params } = await provider.interactionDetails(request, response);
    const login = { accountId: String(params.login_hint) };
    await provider.interactionFinished(request, response, { login });
  });
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
