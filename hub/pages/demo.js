/**
 * The demo page: five devices in one page, each a session of its own with its own connection to the
 * hub, and its own storage, which is all that its screen ever shows. What they log out with are the
 * elements that any app can have.
 *
 * @typedef {"joining" | "online" | "lost" | "out"} State
 * @typedef {{user: string, name: string, kind: string, holds: Record<string, string>}} Model
 * @typedef {{reason: string, at: number, rank: number}} Ending `at` is when the device had cleared,
 *   by `performance.now()`; `rank` its place among the devices of the same logout
 * @typedef {Model & {storage: Storage, view: View, state: State, trouble: string, polling: boolean,
 *   notices: number, sid: string, hub?: import("/client.js").LogoutHub, ending?: Ending,
 *   ms?: number}} Device `ms` is from the click to the cleared storage
 * @typedef {ReturnType<typeof createView>} View
 */
import { createLogoutHub } from "/client.js";
import "/elements.js";

/** @type {[user: string, name: string, kind: string, holds: Record<string, string>][]} */
const MODELS = [
  ["Ada", "Laptop", "laptop", { Draft: "Notes on the Engine, page 3" }],
  ["Ada", "Phone", "phone", { Balance: "£2,481.07", Bets: "Epsom, £50" }],
  ["Ada", "Tablet", "tablet", { Diary: "Mr Babbage was late again", Recipe: "Plum cake" }],
  ["Ada", "Work PC", "monitor", { Payroll: "Ada: £5,200", Plan: "Buy cogs" }],
  ["Grace", "Grace’s phone", "phone", { Note: "Moth in relay 70", Memo: "Buy wire" }],
];
const REASONS = {
  user: "Logged out",
  admin: "Logged out by an administrator",
  password_changed: "The password was changed",
  suspicious: "Something looked suspicious",
  idle: "Idle for too long",
  expired: "The session expired",
  identity_provider: "Logged out by the identity provider",
  policy: "Logged out by a policy",
};
const STATES = {
  joining: "logging in…",
  online: "online",
  lost: "reconnecting…",
  out: "logged out",
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

/** Where a tab remembers a device's session, so that a reload is no new device.
 * @param {Device} device */
const placeOf = (device) => `session of ${device.name}`;

/** Logs in: a new session, and the same one again after a reload, and whenever the connection has to
 * be made anew.
 * @param {Device} device */
function logIn(device) {
  device.hub?.close();
  const sid = sessionStorage.getItem(placeOf(device)) ?? crypto.randomUUID();
  sessionStorage.setItem(placeOf(device), sid);
  Object.assign(device, { sid, ending: undefined, ms: undefined });
  show(device, "joining");
  const hub = createLogoutHub({
    url: location.origin,
    token: () => fetchToken(device),
    device: device.name,
    storages: [device.storage],
    hide: `#${device.view.article.id} .private`,
    onLogout: (notification) => ended(device, notification),
  });
  hub.on("state", (state) => changed(device, state));
  hub.on("error", ({ title }) => ended(device, { message: title }));
  device.hub = createTimed(device, hub);
  device.view.part("logout-button").hub = device.hub;
}

/** The client asks at each connect, and tries again by itself when this fails.
 * @param {Device} device @returns {Promise<string>} */
async function fetchToken(device) {
  const body = JSON.stringify({ user: device.user.toLowerCase(), sid: device.sid });
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
function ended(device, { reason = "user", message }) {
  sessionStorage.removeItem(placeOf(device));
  const at = performance.now();
  const rank = devices.filter(({ user, state }) => user === device.user && state === "out").length;
  device.ending = { at, rank, reason: message || REASONS[reason] || reason };
  device.trouble = "";
  if (![...running].some(({ user }) => user === device.user)) {
    device.notices += 1;
    const deed = device.ending.reason;
    tellEnded[deed] ??= createChorus(deed);
    tellEnded[deed](device);
  }
  show(device, "out");
}

// ---- One logout: from the click until all are clear ----

/** The devices on which a logout was asked for that is not told of yet. @type {Set<Device>} */
const running = new Set();

/** The same client, but what the elements ask it for is timed.
 * @param {Device} from @param {import("/client.js").LogoutHub} hub */
function createTimed(from, hub) {
  const message = `Logged out from ${from.name}`;
  return Object.create(hub, {
    logout: { value: (options) => time(from, () => hub.logout({ ...options, message })) },
    end: { value: (sid) => time(from, () => hub.logout({ scope: "session", sid, message })) },
  });
}

/** @param {Device} from @param {() => Promise<any>} ask */
async function time(from, ask) {
  const start = performance.now();
  running.add(from);
  try {
    const answer = await ask();
    void follow(from, start, answer);
    return answer;
  } catch (error) {
    running.delete(from);
    throw error;
  }
}

/** Devices that poll hear of it some seconds later.
 * @param {Device} from @param {number} start
 * @param {{sessions: {sid: string}[], pending?: boolean}} answer */
async function follow(from, start, { sessions, pending }) {
  const targets = devices.filter((device) => sessions.some(({ sid }) => sid === device.sid));
  const clear = () => targets.filter(({ ending }) => ending);
  while (clear().length < targets.length && performance.now() < start + PATIENCE_MS) await sleep(5);
  for (const device of clear()) {
    device.ms = device.ending.at - start;
    show(device, device.state);
  }
  running.delete(from);
  const outcome = pending ? "the hub is told once it is back" : sumUp(targets, clear(), sessions);
  say(`${from.user} logged out from ${from.name}: ${outcome}.`);
}

/** @param {Device[]} targets @param {Device[]} clear @param {{sid: string}[]} ended by the hub */
function sumUp(targets, clear, ended) {
  const more = ended.length - targets.length;
  const elsewhere = more ? `; ${some(more, "session")} not on this page ended too` : "";
  if (!targets.length) return `nobody here to tell${elsewhere}`;
  const all = some(targets.length, "device");
  if (clear.length < targets.length) return `${clear.length} of ${all} clear so far${elsewhere}`;
  const took = inMs(Math.max(...clear.map(({ ms }) => ms)));
  return `${all} told, ${targets.length > 1 ? "all " : ""}clear in ${took}${elsewhere}`;
}

// ---- What is seen ----

/** @param {Model} model */
function createView({ user, name, kind }) {
  const article = find("#device").content.cloneNode(true).firstElementChild;
  const part = (selector) => find(selector, article);
  article.classList.add(kind);
  article.id = name.replaceAll(/\W+/g, "-").toLowerCase();
  part(".name").textContent = name;
  part(".name").id = `${article.id}-name`;
  article.setAttribute("aria-labelledby", part(".name").id);
  part(".login").setAttribute("aria-label", `Log in again: ${name}`);
  find(`#${user.toLowerCase()} .devices`).append(article);
  return { article, part };
}

/** @param {Device} device @param {State} state */
function show(device, state) {
  const { article, part } = device.view;
  if (device.state !== state) showListSoon();
  device.state = state;
  article.dataset.state = state;
  article.dataset.rank = device.ending?.rank ?? 0;
  part(".state").textContent = STATES[state] + (device.polling ? " (polling)" : "");
  part(".note").textContent = device.trouble || describeNotices(device);
  part(".login").hidden = state !== "out";
  showScreen(device);
  const nobodyIsOut = devices.every((each) => each.state !== "out");
  find("#log-all-in").setAttribute("aria-disabled", String(nobodyIsOut));
}

let showing = 0;

/** Grace is here to show that a logout of Ada touches nobody else. @param {Device} device */
const describeNotices = ({ user, notices }) =>
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

/** The list is that of Ada's first device that is logged in, or will be. */
function showList() {
  const seer = devices.find(({ user, state }) => user === "Ada" && state !== "out");
  const element = find("session-list");
  if (!seer) return;
  if (element.hub === seer.hub) return element.refresh();
  element.hub = seer.hub;
  find("#seer").textContent = `as seen on: ${seer.name}`;
}

/** Once no more of them change. */
function showListSoon() {
  clearTimeout(showing);
  showing = setTimeout(showList, 200);
}

// ---- All of it ----

/** @returns {Device} */
function createDevice([user, name, kind, holds]) {
  const model = { user, name, kind, holds };
  const initial = { state: "joining", trouble: "", polling: false, notices: 0 };
  const device = { ...model, ...initial, storage: createStorage(), view: createView(model) };
  device.view.part(".login").addEventListener("click", () => logIn(device));
  return device;
}

const devices = MODELS.map(createDevice);
for (const device of devices) logIn(device);
showList();
find("#log-all-in").addEventListener("click", () => {
  for (const device of devices) if (device.state === "out") logIn(device);
});
