/**
 * The demo page: five devices in one page, each a session of its own with its own connection to the
 * hub, and its own storage, which is all that its screen ever shows.
 *
 * @typedef {"joining" | "online" | "lost" | "out"} State
 * @typedef {{user: string, name: string, kind: string, holds: Record<string, string>}} Model
 * @typedef {{id?: string, reason: string, at: number, rank: number}} Ending `at` is when the device
 *   had cleared, by `performance.now()`; `rank` its place among the devices of the same logout
 * @typedef {Model & {storage: Storage, view: View, state: State, trouble: string, polling: boolean,
 *   notices: number, hub?: import("/client.js").LogoutHub, ending?: Ending, ms?: number}} Device
 * @typedef {{from: Device, start: number, targets: Device[], times: Map<Device, number>,
 *   id?: string}} Logout `times` are in ms from the click, for the targets that have cleared
 * @typedef {ReturnType<typeof createView>} View
 */
import { createLogoutHub } from "/client.js";

/** @type {[user: string, name: string, kind: string, holds: Record<string, string>][]} */
const MODELS = [
  ["Ada", "Laptop", "laptop", { Draft: "Notes on the Engine, page 3" }],
  ["Ada", "Phone", "phone", { Balance: "£2,481.07", Bets: "Epsom, £50" }],
  ["Ada", "Tablet", "tablet", { Diary: "Mr Babbage was late again", Recipe: "Plum cake" }],
  ["Ada", "Work PC", "monitor", { Payroll: "Ada: £5,200", Plan: "Buy cogs" }],
  ["Grace", "Grace’s phone", "phone", { Note: "Moth in relay 70", Memo: "Buy wire" }],
];
const REASONS = {
  user: "Signed out",
  admin: "Signed out by an administrator",
  password_changed: "The password was changed",
  suspicious: "Something looked suspicious",
  idle: "Idle for too long",
  expired: "The session expired",
  identity_provider: "Signed out by the identity provider",
  policy: "Signed out by a policy",
};
const STATES = {
  joining: "logging in…",
  online: "online",
  lost: "reconnecting…",
  out: "logged out",
};
const DEEDS = {
  all: "logged out everywhere from",
  others: "logged out the others from",
  session: "logged out on",
};
const LOG_LENGTH = 8;
const PATIENCE_MS = 8_000;

const list = new Intl.ListFormat("en-GB");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const inMs = (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
const some = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const find = (selector, within = document) => within.querySelector(selector);

/** In a page of its own this would be `localStorage`; five devices in one page need one each. */
function createStorage() {
  const entries = new Map();
  return {
    get length() {
      return entries.size;
    },
    key: (index) => [...entries.keys()][index] ?? null,
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => void entries.set(key, String(value)),
    removeItem: (key) => void entries.delete(key),
    clear: () => entries.clear(),
  };
}

// ---- What happened, in words ----

function say(text) {
  const entry = document.createElement("li");
  const [time, words] = [document.createElement("time"), document.createElement("span")];
  time.textContent = new Date().toLocaleTimeString("en-GB");
  words.textContent = text;
  entry.append(time, " ", words);
  const log = find("#log");
  log.prepend(entry);
  while (log.children.length > LOG_LENGTH) log.lastElementChild.remove();
}

/** Tells in one line of devices that do the same, once none is still in the state `before` it.
 * @param {string} deed @param {State} [before] @returns {(device: Device) => void} */
function createChorus(deed, before) {
  const names = new Set();
  let timer = 0;
  function tell() {
    if (devices.some(({ state }) => state === before)) return wait();
    say(`${deed}: ${list.format(names)}.`);
    names.clear();
  }
  function wait() {
    clearTimeout(timer);
    timer = setTimeout(tell, 200);
  }
  return ({ name }) => {
    names.add(name);
    wait();
  };
}

const tellOnline = createChorus("Logged in", "joining");
const tellLost = createChorus("The hub is out of reach, still trying");
const tellBack = createChorus("Connected again", "lost");
/** Logouts that did not begin on this page, by their reason. */
const tellEnded = Object.create(null);

// ---- One device: its life ----

/** Logs in: a new session, and the same one again whenever the connection has to be made anew.
 * @param {Device} device */
function logIn(device) {
  const sid = crypto.randomUUID();
  device.hub?.close();
  Object.assign(device, { ending: undefined, ms: undefined, trouble: "" });
  show(device, "joining");
  device.hub = createLogoutHub({
    url: location.origin,
    token: () => fetchToken(device, sid),
    device: device.name,
    storages: [device.storage],
    onLogout: (notification) => ended(device, notification),
  });
  device.hub.on("state", (state) => changed(device, state));
  device.hub.on("error", ({ title }) => {
    device.ending = { reason: title, at: performance.now(), rank: 0 };
    show(device, "out");
  });
}

/** The client asks at each connect, and tries again by itself when this fails.
 * @param {Device} device @param {string} sid @returns {Promise<string>} */
async function fetchToken(device, sid) {
  const body = JSON.stringify({ user: device.user.toLowerCase(), sid });
  const headers = { "Content-Type": "application/json" };
  const { token, title } = await fetch("/demo/token", { method: "POST", headers, body })
    .then((answer) => answer.json())
    .catch(() => ({ title: "no answer" }));
  device.trouble = token ? "" : `No token: ${title}`;
  show(device, device.state);
  if (!token) throw new Error(title);
  return token;
}

/** @param {Device} device @param {import("/client.js").State} state the client's word for it */
function changed(device, state) {
  device.polling = state === "polling";
  if (state === "connected" || state === "polling") {
    if (device.state === "joining") {
      for (const [key, value] of Object.entries(device.holds)) device.storage.setItem(key, value);
      tellOnline(device);
    }
    if (device.state === "lost") tellBack(device);
    show(device, "online");
  } else if (state === "disconnected" && device.state === "online") {
    tellLost(device);
    show(device, "lost");
  }
}

/** The client has cleared the storage just now: that is the moment that counts.
 * @param {Device} device @param {import("/client.js").LogoutNotification} notification */
function ended(device, { id, reason = "user", message }) {
  const at = performance.now();
  const rank = devices.filter(({ ending }) => id && ending?.id === id).length;
  device.ending = { id, at, rank, reason: message || REASONS[reason] || reason };
  device.trouble = "";
  show(device, "out");
  const causes = [...running].filter(({ from }) => from.user === device.user);
  for (const logout of causes) measure(logout);
  if (causes.length) return;
  device.notices += 1;
  const deed = device.ending.reason;
  tellEnded[deed] ??= createChorus(deed);
  tellEnded[deed](device);
  show(device, "out");
}

// ---- One logout: from the click until all are clear ----

/** @type {Set<Logout>} */
const running = new Set();

/** @param {Device} from @param {"all" | "others" | "session"} scope */
async function logOut(from, scope) {
  if ([...running].some((logout) => logout.from === from && !logout.id)) return;
  /** @type {Logout} */
  const logout = { from, start: performance.now(), targets: [], times: new Map() };
  logout.targets = targetsOf(from, scope);
  running.add(logout);
  try {
    const message = `Signed out from ${from.name}`;
    const { id, sessions } = await from.hub.logout({ scope, message });
    logout.id = id;
    await allClear(logout);
    say(`${from.user} ${DEEDS[scope]} ${from.name}: ${sumUp(logout, sessions.length)}.`);
  } catch (error) {
    say(`Logging out from ${from.name} failed: ${error.message}.`);
  }
  running.delete(logout);
  for (const device of devices) show(device, device.state);
}

/** @param {Device} from @param {string} scope @returns {Device[]} whom this page expects to hear */
const targetsOf = (from, scope) =>
  devices.filter(
    (device) =>
      device.user === from.user &&
      device.state === "online" &&
      (scope === "all" || (device === from) === (scope === "session")),
  );

/** A notice may overtake the answer that says which logout it was: measured once both are here.
 * @param {Logout} logout */
function measure({ id, start, targets, times }) {
  for (const device of targets) {
    if (!id || device.ending?.id !== id || times.has(device)) continue;
    device.ms = device.ending.at - start;
    times.set(device, device.ms);
    show(device, device.state);
  }
}

/** Devices that poll hear of it some seconds later. @param {Logout} logout */
async function allClear(logout) {
  const deadline = performance.now() + PATIENCE_MS;
  measure(logout);
  while (logout.times.size < logout.targets.length && performance.now() < deadline) {
    await sleep(20);
    measure(logout);
  }
}

/** @param {Logout} logout @param {number} sessions as many as the hub ended */
function sumUp({ targets: { length: all }, times }, sessions) {
  const others = some(sessions - all, "session");
  const more = sessions > all ? `; ${others} not on this page ended too` : "";
  if (all === 0) return `nobody here to tell${more}`;
  if (times.size < all) return `${times.size} of ${some(all, "device")} clear so far${more}`;
  const clear = `${all > 1 ? "all " : ""}clear in ${inMs(Math.max(...times.values()))}`;
  return `${some(all, "device")} told, ${clear}${more}`;
}

// ---- What is seen ----

/** @param {Model} model */
function createView({ user, name, kind }) {
  const article = find("#device").content.cloneNode(true).firstElementChild;
  const part = (selector) => find(selector, article);
  article.classList.add(kind);
  part(".name").textContent = name;
  part(".name").id = `name-${name.replaceAll(/\W+/g, "-").toLowerCase()}`;
  article.setAttribute("aria-labelledby", part(".name").id);
  for (const button of article.querySelectorAll("button"))
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  find(`#${user.toLowerCase()} .devices`).append(article);
  return { article, part };
}

/** @param {Device} device @param {State} state */
function show(device, state) {
  const { article, part } = device.view;
  device.state = state;
  article.dataset.state = state;
  article.dataset.rank = device.ending?.rank ?? 0;
  part(".state").textContent = STATES[state] + (device.polling ? " (polling)" : "");
  part(".note").textContent = device.trouble || witness(device);
  showScreen(device);
  showButtons(device);
  const nobodyIsOut = devices.every((each) => each.state !== "out");
  find("#log-all-in").setAttribute("aria-disabled", String(nobodyIsOut));
}

/** Grace is here to show that a logout of Ada touches nobody else. @param {Device} device */
const witness = ({ user, notices }) =>
  user === "Ada" ? "" : `${notices ? "Told" : "Untouched"} · ${some(notices, "notice")}`;

/** All from the device's own storage, so that an empty screen is an empty storage.
 * @param {Device} device */
function showScreen({ storage, state, ending, ms, view: { part } }) {
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
  const nodes = keys.flatMap((key) => {
    const [term, value] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = key;
    value.textContent = storage.getItem(key);
    return [term, value];
  });
  const count = `${some(keys.length, "item")} stored`;
  const isOut = state === "out";
  part(".private").replaceChildren(...nodes);
  part(".count").textContent = isOut ? "" : count;
  part(".time").textContent = isOut && ms !== undefined ? inMs(ms) : "";
  part(".why").textContent = isOut ? ending.reason : "";
  part(".left").textContent = isOut ? count : "";
}

/** Swaps the buttons, and takes the focus along. @param {Device} device */
function showButtons({ state, view: { part } }) {
  const isIn = state === "online" || state === "lost";
  const [shown, gone] = isIn ? [".actions", ".entry"] : [".entry", ".actions"];
  const hadFocus = part(gone).contains(document.activeElement);
  part(gone).hidden = true;
  part(shown).hidden = false;
  part(".login").setAttribute("aria-disabled", String(state === "joining"));
  if (hadFocus) find("button", part(shown)).focus();
}

// ---- All of it ----

/** @returns {Device} */
function createDevice([user, name, kind, holds]) {
  const model = { user, name, kind, holds };
  const initial = { state: "joining", trouble: "", polling: false, notices: 0 };
  const device = { ...model, ...initial, storage: createStorage(), view: createView(model) };
  device.view.article.addEventListener("click", ({ target }) => {
    if (target.dataset.scope) void logOut(device, target.dataset.scope);
    else if (target.matches(".login") && device.state === "out") logIn(device);
  });
  return device;
}

const devices = MODELS.map(createDevice);
for (const device of devices) logIn(device);
find("#log-all-in").addEventListener("click", () => {
  for (const device of devices) if (device.state === "out") logIn(device);
});
