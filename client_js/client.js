/**
 * The browser client of logout-hub, with all its parts. No dependencies. An import has no effect; a
 * script tag that asks for a client gets one.
 *
 * @typedef {ReturnType<typeof createLogoutHub>} LogoutHub
 */
/** @import { StockSocket } from "./attachment.js" */
/** @import { Options } from "./session.js" */
import { createAttachment, hubOf, tokenOf } from "./attachment.js";
import { createCore } from "./core.js";
import { curtain } from "./curtain.js";
import { login } from "./login.js";
import { offline } from "./offline.js";
import { siteData } from "./site-data.js";
import { tabs } from "./tabs.js";
import { onLogoutClick, readTag } from "./tag.js";

/** What may be said in code or on the script tag. */
const OPTIONS =
  "url token keep loginUrl onLogout device storages clear profile hide logoutIn".split(" ");
const PARTS = [offline, curtain, tabs, siteData, login];

/** @param {Options} [options] @param {Parameters<typeof createCore>[2]} [linkFor] */
function create(options, linkFor) {
  const hub = createCore(options, PARTS, linkFor);
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

/** The same over a socket.io-client socket that the app has; `close()` leaves it to the app.
 * @param {StockSocket} socket @param {Options} [options] @returns {LogoutHub} */
export function attach(socket, options = {}) {
  const { url = hubOf(socket), token = () => tokenOf(socket) } = options;
  return create({ ...options, url, token }, (session, requests) =>
    createAttachment(session, requests, socket),
  );
}

function createPageHub() {
  const options = readTag(import.meta.url);
  if (!options) return undefined;
  const hub = createLogoutHub(options);
  onLogoutClick(hub.logout, options.logoutIn);
  return hub;
}

/** Pure, so that bundlers may leave it out: no tag names what they make. */
const hubOfPage = /* @__PURE__ */ createPageHub();

/** The hub that the page's script tag made, if one did. */
export const pageHub = () => hubOfPage;
