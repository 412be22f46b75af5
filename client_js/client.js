/**
 * The browser client of logout-hub: it learns that this session was ended, clears what the page
 * stored, tells the hub so, then tells the app. One file, no dependencies, nothing done on import.
 *
 * @typedef {{id?: string, scope?: string, reason?: string, message?: string | null,
 *   sid?: string | null, at?: number}} LogoutNotification why the session ended, as far as known
 * @typedef {{cleared: boolean, failed?: string[]}} Cleared `failed` of "storage", "cookies", "hook"
 * @typedef {{code: string, title: string, retryable: boolean, logout?: object}} Refusal
 * @typedef {"connecting" | "connected" | "polling" | "disconnected" | "ended" | "closed"} State
 * @typedef {{scope?: "all" | "others" | "session", sid?: string, reason?: string,
 *   message?: string}} LogoutOptions
 *
 * @typedef {object} Options
 * @property {string} [url] the hub's origin; by default the page's own
 * @property {string | (() => string | undefined | Promise<string | undefined>)} [token]
 *   a function is asked at each connect; without a token the hub's cookie is used
 * @property {string[]} [keep] storage keys and cookie names that clearing leaves alone (a hub on the
 *   page's own origin has the browser clear all cookies when a logout had to go by HTTP)
 * @property {string} [loginUrl] where the page goes once `onLogout` has settled
 * @property {(notification: LogoutNotification) => unknown} [onLogout] called once, after clearing
 * @property {string} [device] a name that people read in their list of sessions
 * @property {Storage[]} [storages] what to clear; by default `localStorage` and `sessionStorage`
 * @property {(notification: LogoutNotification) => unknown} [clear]
 *   clears what only the app knows of; has 1.5 s before the hub is told that it failed
 *
 * @typedef {object} LogoutHub
 * @property {(options?: LogoutOptions) => Promise<any>} logout ends sessions, by default all
 * @property {() => Promise<any[]>} sessions
 * @property {(sid: string) => Promise<any>} end ends one of the user's sessions
 * @property {(event: "state" | "logout" | "error", listener: (value: any) => void) => () => void} on
 * @property {() => void} close
 * @property {State} state
 */
const ACCEPT_MS = 10_000;
const ANSWER_MS = 5_000;
const HOOK_MS = 1_500;
const POLL_MS = 5_000;
const RETRY_WHILE_POLLING_MS = 30_000;
const LINGER_MS = 5_000;
const ENDED = ["token_revoked", "token_expired", "token_too_old"];

// ---- Pure: frames of Engine.IO 4 with Socket.IO 5 in them, refusals, delays ----

/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** Timers of more than 2^31 ms fire at once, so absurd ones are refused. @param {any} body */
const isOpening = (body) =>
  [body?.pingInterval, body?.pingTimeout].every(
    (ms) => ms > 0 && Number.isFinite(ms) && ms < 2 ** 30,
  );
/** @param {any} body */
const isEvent = (body) => Array.isArray(body) && typeof body[0] === "string";
/** @param {any} body @param {string} id */
const isAnswer = (body, id) => Array.isArray(body) && id !== "";

/** @type {Record<string, [type: string, fits?: (body: any, id: string) => boolean]>} */
const FRAMES = {
  0: ["open", isOpening],
  1: ["close"],
  2: ["ping"],
  6: ["noop"],
  40: ["accepted", isObject],
  41: ["disconnect"],
  42: ["event", isEvent],
  43: ["ack", isAnswer],
  44: ["refused", isObject],
};

/** @param {unknown} data @returns {{type: string, id: string, body: any} | null} null: malformed */
export function parseFrame(data) {
  const [, kind, id, rest] = /^([0126]|4[0-4])(\d*)(.*)$/s.exec(String(data)) ?? [];
  if (typeof data !== "string" || kind === undefined) return null;
  const [type, fits] = FRAMES[kind];
  if (!fits) return data === kind ? { type, id, body: undefined } : null;
  const body = parseJson(rest);
  return fits(body, id) ? { type, id, body } : null;
}

/** @param {string} text @returns {any} undefined when it is not JSON */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {{token?: string, device?: string}} auth */
export const encodeConnect = (auth) => `40${JSON.stringify(auth)}`.replace(/^40{}$/, "40");
/** @param {string | number} id @param {string} name @param {unknown} data */
export const encodeEvent = (id, name, data) => `42${id}${JSON.stringify([name, data])}`;
/** @param {string | number} id @param {unknown} data */
export const encodeAck = (id, data) => `43${id}${JSON.stringify([data])}`;

/** @param {any} data @param {string} [message] @returns {Refusal} */
export function toRefusal(data, message) {
  const { code = message, title = message, retryable, logout } = isObject(data) ? data : {};
  return { code: String(code), title: String(title), retryable: retryable === true, logout };
}

/** @param {any} source @param {LogoutNotification} [otherwise] @returns {LogoutNotification} */
export function toNotification(source, otherwise) {
  const { id, scope, reason, message, sid, at } = { ...otherwise, ...(isObject(source) && source) };
  return JSON.parse(JSON.stringify({ id, scope, reason, message, sid, at }));
}

/** Exponential, with full jitter. @param {number} attempt from 0 @param {number} [chance] 0 to 1 */
export const backoffDelay = (attempt, chance = Math.random()) =>
  chance * Math.min(10_000, 500 * 2 ** attempt);

// ---- Small tools ----

/** @param {number} ms a mean, so that many clients do not come at the same moment */
const around = (ms) => ms * (0.75 + Math.random() / 2);

/** @template T @param {number} ms @param {() => T | Promise<T>} work @returns {Promise<T>} */
function within(ms, work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms);
    const settled = Promise.resolve().then(work).then(resolve, reject);
    settled.finally(() => clearTimeout(timer));
  });
}

/** The app's own mistakes must not stop us, nor go unseen. @param {() => unknown} work */
async function safely(work) {
  try {
    await work();
    return true;
  } catch (error) {
    console.error(error);
    return false;
  }
}

function createTimer() {
  let /** @type {ReturnType<typeof setTimeout> | undefined} */ timer;
  const stop = () => clearTimeout(timer);
  /** @param {number} ms @param {() => unknown} work */
  const start = (ms, work) => {
    stop();
    timer = setTimeout(work, ms);
  };
  return { start, stop };
}

/** @param {string} [code] @param {string} [title] @param {object} [details] */
const failure = (code = "unavailable", title = "The hub cannot be reached", details = {}) =>
  Object.assign(new Error(title), details, { code });

/** `randomUUID` exists on https pages only. */
const newKey = () => crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(5)).join("-");

/** @param {string} [url] */
function originOf(url) {
  const { origin, pathname, protocol } = new URL(url ?? globalThis.location?.origin);
  if (pathname === "/" && /^https?:$/.test(protocol)) return origin;
  throw new TypeError(`url must be an http or https origin without a path: ${url}`);
}

/** @param {() => void} wake @returns {() => void} stops listening */
function onWake(wake) {
  const off = new AbortController();
  const { document } = globalThis;
  const seen = () => document.visibilityState === "visible" && wake();
  for (const event of ["online", "pageshow"])
    globalThis.addEventListener?.(event, wake, { signal: off.signal });
  document?.addEventListener("visibilitychange", seen, { signal: off.signal });
  return () => off.abort();
}

// ---- Clearing ----

/** @returns {Storage[]} those that the page may use: reading the property can itself throw */
function pageStorages() {
  return ["localStorage", "sessionStorage"].flatMap((name) => {
    try {
      return Reflect.get(globalThis, name) ?? [];
    } catch {
      return [];
    }
  });
}

/** @param {Storage} storage @param {Set<string>} kept */
function clearStorage(storage, kept) {
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
  for (const key of keys) if (key !== null && !kept.has(key)) storage.removeItem(key);
}

/** @param {Set<string>} kept */
function clearCookies(kept) {
  const names = (globalThis.document?.cookie ?? "")
    .split(";")
    .map((pair) => pair.split("=")[0].trim());
  const secure = globalThis.location?.protocol === "https:" ? "; secure" : "";
  for (const name of names.filter((name) => name && !kept.has(name)))
    for (const path of ["; path=/", `; path=${location.pathname}`, ""]) {
      // biome-ignore lint/suspicious/noDocumentCookie: not every browser has the Cookie Store
      document.cookie = `${name}=; max-age=0${path}${secure}`;
    }
}

/** @param {Options} options */
function createCleaner({ keep, storages = pageStorages(), clear }) {
  const kept = new Set(keep);
  return {
    /** @param {LogoutNotification} notification @returns {Promise<Cleared>} never rejects */
    async wipe(notification) {
      /** @type {[string, () => unknown][]} */
      const steps = storages.map((storage) => ["storage", () => clearStorage(storage, kept)]);
      steps.push(["cookies", () => clearCookies(kept)]);
      if (clear) steps.push(["hook", () => within(HOOK_MS, () => clear(notification))]);
      const failed = new Set();
      for (const [name, step] of steps) if (!(await safely(step))) failed.add(name);
      return failed.size ? { cleared: false, failed: [...failed] } : { cleared: true };
    },

    /** A same-origin hub's `Clear-Site-Data` takes everything: puts back what was to be kept.
     * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
    async keeping(work) {
      const entries = storages.flatMap((storage) =>
        [...kept].map((key) => ({ storage, key, value: storage.getItem(key) })),
      );
      try {
        return await work();
      } finally {
        for (const { storage, key, value } of entries)
          if (value !== null && storage.getItem(key) === null)
            void safely(() => storage.setItem(key, value));
      }
    },
  };
}

// ---- The session: what both kinds of link share ----

/** @param {Options["token"]} token */
function createCredentials(token) {
  let /** @type {string | undefined} */ fresh;
  let /** @type {{used: unknown, done: Promise<boolean>} | undefined} */ renewal;
  const ask = async () => (typeof token === "function" ? within(ACCEPT_MS, token) : token);

  /** @param {unknown} used @param {string} code */
  async function replace(used, code) {
    // A token of the very second of a logout is dead too: only the next second's is not.
    if (code === "token_too_old") await new Promise((resolve) => setTimeout(resolve, 1000));
    const answer = await ask().catch(() => undefined);
    if (answer !== used) fresh = answer;
    return fresh !== undefined;
  }

  return {
    next: async () => fresh ?? ask(),
    renewed: () => fresh,
    accepted: () => {
      fresh = renewal = undefined;
    },
    /** Once until a token is accepted; late refusals of the same token share the outcome.
     * @param {unknown} used @param {string} code */
    async renew(used, code) {
      if (typeof token !== "function" || code === "token_revoked") return false;
      renewal ??= { used, done: replace(used, code) };
      return renewal.used === used && renewal.done;
    },
  };
}

/** @typedef {ReturnType<typeof createSession>} Session */
/** @typedef {{ask: (command: object) => Promise<any>, wake: () => void, halt: () => void,
 *   close: () => void}} Link what carries a session: `halt` when it is over, `close` at once */

/** @param {Options} options @param {State} state */
function createSession(options, state) {
  const origin = originOf(options.url);
  const credentials = createCredentials(options.token);
  const cleaner = createCleaner(options);
  /** @type {Record<string, Set<(value: any) => void>>} */
  const listeners = { state: new Set(), logout: new Set(), error: new Set() };
  let /** @type {Link} */ link;
  let /** @type {Promise<Cleared> | undefined} */ wiping;
  let /** @type {Promise<boolean> | undefined} */ checking;
  let /** @type {string | undefined} */ ownSid;
  let etag = "";
  let halted = false;
  let closed = false;

  /** @param {string} event @param {unknown} value */
  function emit(event, value) {
    for (const listener of listeners[event]) safely(() => listener(value));
  }

  /** @param {State} next */
  function setState(next) {
    if (next === state || closed) return;
    state = next;
    emit("state", next);
  }

  function halt() {
    if (!halted) link.halt();
    halted = true;
  }

  /** Whoever says first that the session is over is believed, and only the first is announced.
   * @param {LogoutNotification} notification @param {(result: Cleared) => void} [answer] */
  async function finish(notification, answer) {
    const first = !wiping;
    halt();
    wiping ??= cleaner.wipe(notification);
    const result = await wiping;
    void safely(() => answer?.(result));
    if (first) void announce(notification);
  }

  /** @param {LogoutNotification} notification */
  async function announce(notification) {
    setState("ended");
    if (!closed) emit("logout", notification);
    if (!closed) await safely(() => options.onLogout?.(notification));
    if (!closed && options.loginUrl) location.replace(options.loginUrl);
  }

  /** @param {Refusal} refusal @param {unknown} used the token that was refused
   * @returns {Promise<"again" | "later" | "stop">} when to try next */
  async function refused({ code, title, retryable, logout }, used) {
    if (retryable) return "later";
    const ended = ENDED.includes(code);
    if (ended && !halted && (await credentials.renew(used, code)) && !halted) return "again";
    if (halted) return "stop";
    if (ended) {
      const reason = code === "token_expired" ? "expired" : undefined;
      void finish(toNotification(logout, { reason, sid: ownSid }));
    } else {
      halt();
      setState("disconnected");
      emit("error", { code, title });
    }
    return "stop";
  }

  /** @param {string} method @param {string} path @param {{headers?: object, body?: object}} [init]
   * @returns {Promise<{status: number, body: any, headers: Headers}>} */
  async function request(method, path, { headers, body } = {}, retry = true) {
    const token = await credentials.next();
    const response = await fetch(origin + path, {
      method,
      cache: "no-store",
      redirect: "error",
      credentials: token === undefined ? "include" : "same-origin",
      keepalive: method !== "GET",
      signal: AbortSignal.timeout(ACCEPT_MS),
      headers: {
        ...headers,
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...(body && { "Content-Type": "application/json" }),
      },
      body: body && JSON.stringify(body),
    });
    const answer = parseJson(await response.text());
    if (response.status === 401 && answer?.code) {
      const refusal = { ...toRefusal(answer), retryable: false, logout: answer };
      if ((await refused(refusal, token)) === "again" && retry)
        return request(method, path, { headers, body }, false);
    }
    return { status: response.status, body: answer, headers: response.headers };
  }

  /** @param {string} method @param {string} path @param {{headers?: object, body?: object}} [init] */
  async function call(method, path, init) {
    const { status, body } = await request(method, path, init).catch((cause) => {
      throw failure(undefined, undefined, { cause });
    });
    if (status >= 200 && status < 300) return body;
    throw failure(body?.code, body?.title, { problem: body });
  }

  /** Is the session alive? Only a 200 or 304 of the hub says so; its 401 ends the session. */
  async function recheck() {
    const init = etag ? { headers: { "If-None-Match": etag } } : {};
    const answer = await request("GET", "/session", init).catch(() => undefined);
    const changed = answer?.status === 200 && isObject(answer.body);
    if (!answer || halted || !(changed || answer.status === 304)) return false;
    if (changed) {
      etag = answer.headers.get("etag") ?? "";
      ownSid = answer.body.sid;
    }
    credentials.accepted();
    return true;
  }

  function check() {
    checking ??= recheck().finally(() => {
      checking = undefined;
    });
    return checking;
  }

  /** By the socket if it can be: the HTTP answer makes the browser clear what was to be kept.
   * @param {LogoutOptions} body */
  async function command(body) {
    const idempotencyKey = newKey();
    const answer = await link.ask({ ...body, idempotencyKey }).catch(() => undefined);
    if (answer?.ok === true) return answer;
    if (answer?.ok === false) throw failure(answer.error?.code, answer.error?.title);
    const headers = { "Idempotency-Key": idempotencyKey };
    return cleaner.keeping(() => call("POST", "/logout", { headers, body }));
  }

  /** @param {LogoutOptions} [wanted] */
  async function logout({ scope = "all", sid, reason, message } = {}) {
    if (scope === "session" && sid !== undefined && ownSid === undefined) await check();
    const own = scope === "all" || (scope === "session" && (sid === undefined || sid === ownSid));
    try {
      const answer = await command({ scope, sid, reason, message });
      const why = { scope, reason: reason ?? "user", message, sid: ownSid };
      if (own) await finish(toNotification(answer, why));
      return answer;
    } catch (error) {
      // The answer was lost, or a twin was faster: the session is over in the very way asked for.
      const { code, problem } = /** @type {any} */ (error);
      if (!own || code !== "token_revoked" || ![problem?.scope, "session"].includes(scope))
        throw error;
      return { id: problem?.id, scope, sessions: [] };
    }
  }

  /** @param {string} sid */
  async function end(sid) {
    const path = `/sessions/${encodeURIComponent(sid)}`;
    const answer = await cleaner.keeping(() => call("DELETE", path));
    if (sid === ownSid)
      await finish(toNotification(answer, { scope: "session", reason: "user", sid }));
    return answer;
  }

  /** What was begun before `close()` is still finished. @template T @param {() => Promise<T>} work */
  async function unlessClosed(work) {
    if (closed) throw failure("closed", "This client is closed");
    return work();
  }

  /** @param {Link} made @returns {LogoutHub} */
  function serve(made) {
    link = made;
    const sleep = onWake(() => halted || link.wake());
    return {
      logout: (wanted) => unlessClosed(() => logout(wanted)),
      sessions: () => unlessClosed(async () => (await call("GET", "/sessions")).sessions),
      end: (sid) => unlessClosed(() => end(sid)),
      on(event, listener) {
        listeners[event].add(listener);
        return () => void listeners[event].delete(listener);
      },
      close() {
        halted = true;
        sleep();
        link.close();
        setState("closed");
        closed = true;
      },
      get state() {
        return state;
      },
    };
  }

  const isHalted = () => halted;
  return { origin, credentials, setState, finish, refused, check, serve, isHalted };
}

// ---- Our own WebSocket ----

/** One connection, from its opening to its one `closed`, with the refusal if that was the cause.
 * @param {string} origin @param {{token?: string, device?: string}} auth
 * @param {{accepted: () => void, closed: (refusal?: Refusal) => void,
 *   event: (name: string, data: any, answer: (data: any) => void) => void}} on */
function openSocket(origin, auth, on) {
  const address = `${origin.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`;
  const socket = new WebSocket(address);
  const deadline = createTimer();
  /** @type {{resolve: (data: any) => void, reject: (error: Error) => void}[]} */
  const asked = [];
  let done = false;
  let live = false;
  let patience = 0;
  let heard = 0;

  /** @param {Refusal} [refusal] */
  function leave(refusal) {
    if (done) return;
    done = true;
    deadline.stop();
    socket.close();
    for (const { reject } of asked) reject(failure());
    on.closed(refusal);
  }
  const close = () => leave();

  /** @param {string} frame */
  function send(frame) {
    if (!done && socket.readyState === WebSocket.OPEN) socket.send(frame);
  }

  function expectPing() {
    heard = Date.now();
    if (live) deadline.start(patience, close);
  }

  /** @type {Record<string, (body: any, id: string) => void>} */
  const receive = {
    open(body) {
      patience = body.pingInterval + body.pingTimeout;
      send(encodeConnect(auth));
    },
    ping() {
      send("3");
      expectPing();
    },
    accepted() {
      live = true;
      expectPing();
      on.accepted();
    },
    event: ([name, data], id) =>
      on.event(name, data, (answer) => id !== "" && send(encodeAck(id, answer))),
    ack: ([data], id) => asked[Number(id)]?.resolve(data),
    refused: ({ data, message }) => leave(toRefusal(data, message)),
    noop() {},
  };

  deadline.start(ACCEPT_MS, close);
  socket.addEventListener("close", close);
  socket.addEventListener("error", close);
  socket.addEventListener("message", ({ data }) => {
    const { type = "", body, id = "" } = parseFrame(data) ?? {};
    if (!done) (receive[type] ?? close)(body, id);
  });

  return {
    close,
    isLive: () => live,
    /** Timers stand still while a laptop sleeps; the clock does not. */
    isStale: () => live && Date.now() - heard > patience,
    /** @param {string} name @param {object} data @returns {Promise<any>} */
    ask: (name, data) =>
      new Promise((resolve, reject) => {
        if (done) reject(failure());
        send(encodeEvent(asked.push({ resolve, reject }) - 1, name, data));
      }),
  };
}

/** Keeps one socket open, and polls while none gets through.
 * @param {Session} session @param {string} [device] @returns {Link} */
function webSocketLink(session, device) {
  const retryTimer = createTimer();
  const pollTimer = createTimer();
  const lingerTimer = createTimer();
  let /** @type {ReturnType<typeof openSocket> | undefined} */ socket;
  let starting = false;
  let polling = false;
  let attempt = 0;
  let failures = 0;

  async function connect() {
    retryTimer.stop();
    if (starting || socket || session.isHalted()) return;
    starting = true;
    showState("connecting");
    try {
      const token = await session.credentials.next();
      if (!session.isHalted()) socket = open(token);
    } catch {
      closed(undefined);
    }
    starting = false;
  }

  /** @param {string | undefined} token */
  function open(token) {
    return openSocket(
      session.origin,
      { token, device },
      {
        accepted,
        closed: (refusal) => closed(token, refusal),
        event(name, data, answer) {
          if (name === "logoutNotification") void session.finish(toNotification(data), answer);
        },
      },
    );
  }

  /** While polling, it is the polls that say how things stand. @param {State} state */
  function showState(state) {
    if (!polling && !session.isHalted()) session.setState(state);
  }

  function accepted() {
    if (session.isHalted()) return;
    attempt = failures = 0;
    stopPolling();
    session.credentials.accepted();
    showState("connected");
  }

  /** @param {string | undefined} token @param {Refusal} [refusal] */
  async function closed(token, refusal) {
    failures = refusal || socket?.isLive() ? 0 : failures + 1;
    socket = undefined;
    if (refusal) stopPolling();
    showState("disconnected");
    const verdict = refusal ? await session.refused(refusal, token) : "later";
    if (session.isHalted() || verdict === "stop") return;
    if (failures >= 2 && !polling) {
      polling = true;
      void poll();
    }
    const delay = polling ? around(RETRY_WHILE_POLLING_MS) : backoffDelay(attempt++);
    retryTimer.start(verdict === "again" ? 0 : delay, connect);
  }

  async function poll() {
    const alive = await session.check();
    if (!polling || session.isHalted()) return;
    session.setState(alive ? "polling" : "disconnected");
    pollTimer.start(around(POLL_MS), poll);
  }

  function stopPolling() {
    polling = false;
    pollTimer.stop();
  }

  function stop() {
    retryTimer.stop();
    stopPolling();
  }

  void connect();
  return {
    async ask(command) {
      if (!socket?.isLive()) throw failure();
      const { ask } = socket;
      return within(ANSWER_MS, () => ask("logout", command));
    },
    wake() {
      attempt = 0;
      if (polling) void poll();
      if (socket?.isStale()) socket.close();
      else if (socket?.isLive()) void session.check();
      void connect();
    },
    /** The hub cuts once it has our ack; the timer is for a hub that does not. */
    halt() {
      stop();
      lingerTimer.start(LINGER_MS, () => socket?.close());
    },
    close() {
      stop();
      lingerTimer.stop();
      socket?.close();
    },
  };
}

// ---- An app's own socket.io-client socket ----

/** @typedef {{connected: boolean, active: boolean, auth: any, io: any, connect: () => unknown,
 *   disconnect: () => unknown, on: (event: any, listener: any) => unknown,
 *   off: (event: any, listener: any) => unknown,
 *   timeout: (ms: number) => {emitWithAck: (event: any, ...args: any[]) => Promise<any>}}
 *   } StockSocket the part of socket.io-client's Socket that is used */

/** What the app's socket connects with serves the HTTP calls as well.
 * @param {StockSocket} socket @returns {Promise<string | undefined>} */
async function tokenOf({ auth }) {
  /** @type {any} */
  const data = typeof auth === "function" ? await new Promise((resolve) => auth(resolve)) : auth;
  return data?.token;
}

/** @param {StockSocket} socket */
const hubOf = ({ io }) => io?.uri && new URL(io.uri.replace(/^ws/, "http")).origin;

/** @param {Session} session @param {StockSocket} socket @returns {Link} */
function stockLink(session, socket) {
  const retryTimer = createTimer();
  let attempt = 0;
  const retry = () => retryTimer.start(backoffDelay(attempt++), () => socket.connect());

  /** @type {Record<string, (...args: any[]) => unknown>} */
  const handlers = {
    connect() {
      attempt = 0;
      session.credentials.accepted();
      if (!session.isHalted()) session.setState("connected");
    },
    disconnect(reason) {
      if (session.isHalted()) return;
      session.setState("disconnected");
      // The stock client gives up here; connecting again tells whether it was a logout.
      if (reason === "io server disconnect") retry();
    },
    logoutNotification: (data, answer) => session.finish(toNotification(data), answer),
    async connect_error({ data, message }) {
      if (socket.active && data === undefined) return;
      const used = session.credentials.renewed() ?? socket.auth?.token;
      const verdict = await session.refused(toRefusal(data, message), used);
      if (verdict === "again" && typeof socket.auth !== "function")
        socket.auth = { ...socket.auth, token: await session.credentials.next() };
      if (verdict === "stop" || session.isHalted()) return;
      if (verdict === "later") retry();
      else socket.connect();
    },
  };
  for (const [event, handler] of Object.entries(handlers)) socket.on(event, handler);

  return {
    async ask(command) {
      if (!socket.connected) throw failure();
      return socket.timeout(ANSWER_MS).emitWithAck("logout", command);
    },
    wake: () => void session.check(),
    /** A live socket is left to the hub's cut, one that is down must not come back. */
    halt() {
      retryTimer.stop();
      if (!socket.connected) socket.disconnect();
    },
    close() {
      retryTimer.stop();
      for (const [event, handler] of Object.entries(handlers)) socket.off(event, handler);
    },
  };
}

// ---- Public ----

/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] @returns {LogoutHub} */
export function createLogoutHub(options = {}) {
  const session = createSession(options, "connecting");
  return session.serve(webSocketLink(session, options.device));
}

/** The same over a socket.io-client socket that the app has; `close()` leaves it to the app.
 * @param {StockSocket} socket @param {Options} [options] @returns {LogoutHub} */
export function attach(socket, options = {}) {
  const { url = hubOf(socket), token = () => tokenOf(socket) } = options;
  const state = socket.connected ? "connected" : socket.active ? "connecting" : "disconnected";
  const session = createSession({ ...options, url, token }, state);
  return session.serve(stockLink(session, socket));
}
