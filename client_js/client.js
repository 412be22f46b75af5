/**
 * The browser client of logout-hub, with all its plug-ins. No dependencies. An import has no effect;
 * a script tag that asks for a client gets one.
 *
 * @typedef {ReturnType<typeof createLogoutHub>} LogoutHub
 */
/** @import { StockSocket } from "./attachment.js" */
/** @import { Options } from "./session.js" */
import { createAttachment, hubOf, tokenOf } from "./attachment.js";
import { createCore } from "./core.js";
import { hiding } from "./hiding.js";
import { login } from "./login.js";
import { offline } from "./offline.js";
import { onLogoutClick, readScriptTag } from "./script-tag.js";
import { siteData } from "./site-data.js";
import { tabs } from "./tabs.js";

/** Options that can be set in code or on the script tag. */
const OPTIONS =
  "url token keep loginUrl onLogout device storages clear profile hide logoutIn".split(" ");
const PLUGINS = [offline, hiding, tabs, siteData, login];

/** @param {Options} [options] @param {Parameters<typeof createCore>[2]} [connect] */
function create(options, connect) {
  const hub = createCore(options, PLUGINS, connect);
  for (const name in options)
    if (!OPTIONS.includes(name)) console.warn(`logout-hub: no option: ${name}`);
  // Once: a client stops at its first.
  hub.on("error", ({ code, title, detail = title }) =>
    console.warn(`logout-hub: ${code}: ${detail} docs/troubleshooting.md`),
  );
  return hub;
}

/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] */
export function createLogoutHub(options) {
  return create(options);
}

/** The same over the app's own socket.io-client socket, which `close()` leaves open.
 * @param {StockSocket} socket @param {Options} [options] @returns {LogoutHub} */
export function attach(socket, options = {}) {
  const { url = hubOf(socket), token = () => tokenOf(socket) } = options;
  return create({ ...options, url, token }, (session, requests) =>
    createAttachment(session, requests, socket),
  );
}

function createPageHub() {
  const options = readScriptTag(import.meta.url);
  if (!options) return undefined;
  const hub = createLogoutHub(options);
  onLogoutClick(hub.logout, options.logoutIn);
  return hub;
}

/** Pure, so that bundlers may leave it out: in a bundle no script tag asks for a client. */
const hubOfPage = /* @__PURE__ */ createPageHub();

/** The client that the page's script tag created, if any. */
export const pageHub = () => hubOfPage;
