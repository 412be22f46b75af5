/** Presets for well-known identity providers, the same as the hub's: how they name their claims, and
 * where their keys are. */

/** @typedef {{user?: string[], session?: string[], loginTime?: string[], audienceClaims?: string[],
 *   algorithms?: string[], jwksPath?: string, usesSecret?: boolean}} Preset `jwksPath` is appended to
 *   `iss` if the provider has no discovery */

/** @type {Record<string, Preset>} */
export const PRESETS = {
  keycloak: {
    session: ["sid", "session_state", "auth_time"],
    audienceClaims: ["aud", "azp"],
  },
  auth0: { session: ["sid", "session_id", "auth_time"] },
  okta: { session: ["sid", "session_id", "auth_time"] },
  entra: { user: ["oid", "sub"], session: ["sid", "auth_time"] },
  cognito: {
    session: ["origin_jti", "auth_time"],
    audienceClaims: ["aud", "client_id"],
    algorithms: ["RS256"],
  },
  firebase: { session: ["session_id", "auth_time"], algorithms: ["RS256"] },
  supabase: {
    session: ["session_id"],
    loginTime: ["amr.0.timestamp"],
    jwksPath: "/.well-known/jwks.json",
  },
  clerk: { session: ["sid"], audienceClaims: ["aud", "azp"] },
  zitadel: { session: ["sid", "session_id", "auth_time"] },
  authentik: { session: ["sid", "auth_time"] },
  hydra: {
    session: ["sid", "ext.sid", "auth_time", "ext.auth_time"],
    loginTime: ["auth_time", "ext.auth_time"],
    audienceClaims: ["aud", "client_id"],
  },
  "better-auth": {
    session: ["sid", "session_id", "sessionId"],
    jwksPath: "/api/auth/jwks",
  },
  simplejwt: { user: ["user_id", "sub"], usesSecret: true },
  spring: { session: ["sid", "session_id", "auth_time"] },
  duende: { session: ["sid", "auth_time"] },
  openiddict: { session: ["sid", "auth_time"], audienceClaims: ["aud", "client_id"] },
};
