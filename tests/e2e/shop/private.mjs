// The private page of the shop: what a team would write that uses the hub's client.
const { hub: url } = document.documentElement.dataset;
const asked = new URLSearchParams(location.search);
const now = () => performance.timeOrigin + performance.now();

async function token() {
  const answer = await fetch("/token", { cache: "no-store" });
  if (answer.ok) return answer.text();
  if (answer.status === 401) return undefined;
  throw new Error(`/token: ${answer.status}`);
}

function onLogout({ reason, message, pending }) {
  const words = `${reason}${message ? `: ${message}` : ""}${pending ? " (not sent yet)" : ""}`;
  document.querySelector("output").textContent = words;
  if (!asked.has("stay")) sessionStorage.setItem("goodbye", words);
  window.tell?.("logout", { words, at: now() });
}

function loginUrl() {
  if (asked.has("stay")) return undefined;
  if (asked.has("explain"))
    return ({ reason, by = "" }) => `${url}/signed-out?${new URLSearchParams({ reason, by })}`;
  if (asked.get("sso")) return ({ reauthenticate }) => `/sso?reauthenticate=${reauthenticate}`;
  return asked.has("sso") ? "/sso" : "/login";
}

const { createLogoutHub } = await import(`${url}/client.js`);
window.hub = createLogoutHub({
  url,
  token,
  onLogout,
  keep: ["theme", "fonts"],
  device: asked.get("device") ?? undefined,
  loginUrl: loginUrl(),
});
window.hub.on("state", (state) => {
  window.tell?.(state);
  // A module runs once, however often it is imported.
  if (["connected", "polling"].includes(state)) void import("/fill.mjs");
});
window.hub.on("error", (error) => window.tell?.("error", error));
window.hub.on("delivered", (answer) => window.tell?.("delivered", answer));
document.querySelector("#logout").addEventListener("click", async () => {
  window.tell?.("clicked", now());
  const answer = await window.hub.logout().catch(({ code }) => ({ code }));
  window.tell?.("answered", answer);
});
