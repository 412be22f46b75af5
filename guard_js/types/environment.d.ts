export type Options = import("./options.js").Options;
export type Issuer = import("./issuers.js").Issuer;
export type Environ = Record<string, string | undefined>;
/** The addresses and options in the environment; throws an Error that names an invalid variable.
 * @param {Environ} environ @returns {{urls: string[], options: Options}} */
export declare function readEnviron(environ: Environ): {
    urls: string[];
    options: Options;
};
