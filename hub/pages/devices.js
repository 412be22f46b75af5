/** The page of devices: one client for both of its elements, and what it says when they cannot. */
import { createLogoutHub } from "/client.js";
import "/elements.js";

const TROUBLES = {
  origin_not_allowed: `The hub is not set up for this page: ${location.origin} is not on HUB_ALLOWED_ORIGINS.`,
  pending:
    "You are signed out here. The service could not be reached, so your other devices are told as soon as it can be.",
};

const trouble = document.querySelector("#trouble");
const hub = createLogoutHub({ onLogout: explain });
hub.on("error", ({ code, title }) => {
  trouble.textContent = TROUBLES[code] ?? `${title}.`;
});
for (const element of document.querySelectorAll("logout-button, session-list")) element.hub = hub;

/** Without a network the next page could not be had. */
function explain({ reason = "user", pending }) {
  if (pending) trouble.textContent = TROUBLES.pending;
  else location.replace(`/signed-out?${new URLSearchParams({ reason })}`);
}
