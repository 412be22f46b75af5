/** Presets for well-known identity providers, the same as the hub's: how they name their claims, and
 * where their keys are. */
export type Preset = {
    user?: string[];
    session?: string[];
    loginTime?: string[];
    audienceClaims?: string[];
    algorithms?: string[];
    jwksPath?: string;
    usesSecret?: boolean;
};
/** @typedef {{user?: string[], session?: string[], loginTime?: string[], audienceClaims?: string[],
 *   algorithms?: string[], jwksPath?: string, usesSecret?: boolean}} Preset `jwksPath` is appended to
 *   `iss` if the provider has no discovery */
/** @type {Record<string, Preset>} */
export declare const PRESETS: Record<string, Preset>;
