/** The page of devices: one client for both of its elements, and where it goes once that is over. */
import { createLogoutHub } from "/client.js";
import "/elements.js";

const WORDS = {
  origin_not_allowed: `The hub is not set up for this page: ${location.origin} is not on HUB_ALLOWED_ORIGINS.`,
};

const hub = createLogoutHub({
  /** Without a network there is no other page to be had, and the elements say what is to come. */
  onLogout({ reason = "user", by, pending }) {
    const query = new URLSearchParams(by ? { reason, by } : { reason });
    const lang = new URLSearchParams(location.search).get("lang");
    if (lang) query.set("lang", lang);
    if (!pending) location.replace(`/signed-out?${query}`);
  },
});
hub.on("error", ({ code, title }) => {
  document.querySelector("#trouble").textContent = WORDS[code] ?? `${title}.`;
});
for (const element of document.querySelectorAll("logout-button, session-list")) element.hub = hub;
