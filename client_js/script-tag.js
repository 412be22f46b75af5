/** Options from the page's script tag, for pages that use the client without code of their own. */
/** @import { Options } from "./session.js" */
import { safely } from "./tasks.js";

/** The page's own server returns the token, or that there is none. @param {string} address */
async function fetchToken(address) {
  const answer = await fetch(address, { cache: "no-store", mode: "same-origin" });
  // A redirect to the login page means the same as a refusal.
  if (answer.redirected || answer.status === 401 || answer.status === 403) return undefined;
  if (answer.ok) return (await answer.text()).trim();
  throw Error(`${address}: ${answer.status}`);
}

/** @param {string} module the address of the module that the tag loads
 * @returns {Options & {logoutIn?: string} | undefined} undefined when no tag of the page asks for a client */
export function readScriptTag(module) {
  /** @type {Iterable<HTMLScriptElement>} */
  const tags = globalThis.document?.querySelectorAll("script") ?? [];
  const tag = [...tags].find(({ src }) => src === module);
  if (!tag) return undefined;
  const { url, loginUrl, tokenUrl, keep, hide, logoutIn, logoutHub } = tag.dataset;
  const given = [url, loginUrl, tokenUrl, keep, hide, logoutIn, logoutHub];
  if (!given.some((value) => value != null)) return undefined;
  return {
    url: url || new URL(module).origin,
    loginUrl,
    hide,
    logoutIn,
    keep: keep?.match(/\S+/g) ?? [],
    token: tokenUrl === undefined ? undefined : () => fetchToken(tokenUrl),
  };
}

/** Logs out at clicks on `<button data-logout>`, with the scope as its value. Only a button:
 * most apps let users write links with `data-` attributes.
 * @param {(options: {scope: any}) => Promise<unknown>} logout @param {string} [within] a selector of
 *   the element with the buttons, for apps that let users write buttons too */
export function onLogoutClick(logout, within = "*") {
  document.addEventListener("click", (event) => {
    const button = /** @type {HTMLButtonElement | null} */ (
      /** @type {Element} */ (event.target).closest("button[data-logout]")
    );
    if (!button?.closest(within)) return;
    event.preventDefault();
    void safely(() => logout({ scope: button.dataset.logout || "all" }));
  });
}
