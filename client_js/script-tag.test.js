/** A page without code of its own: a script tag asks for a client. The page is made up here. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { quietWhile, REVOKED, reaches, recorder, refuse, startHub, until } from "./support.js";
import { closePage, openPage } from "./support-page.js";

let count = 0;

afterEach(closePage);

/** Loads the module as a script tag with these attributes does, in a page of its own.
 * @param {Record<string, string>} dataset @param {string} [src] another script's address */
async function loadByTag(dataset, src) {
  count += 1;
  const address = new URL(`./client.js?${count}`, import.meta.url).href;
  const { document } = openPage();
  document.elements.script = [
    { src: "https://app.test/other.js", dataset: { logoutHub: "" } },
    { src: src ?? address, dataset },
  ];
  const { pageHub } = await import(address);
  return { document, hub: pageHub() };
}

/** @param {EventTarget} document @param {string | null} scope what `data-logout` says, if anything
 * @param {{tag?: string, place?: string}} [control] the element, and a selector that it is within */
function click(document, scope, { tag = "button", place = "" } = {}) {
  const button = {
    dataset: { logout: scope },
    closest: (/** @type {string} */ selector) => selector === "*" || selector === place,
  };
  const event = new Event("click", { cancelable: true });
  const closest = (/** @type {string} */ selector) =>
    selector === `${tag}[data-logout]` && scope !== null ? button : null;
  Object.defineProperty(event, "target", { value: { closest } });
  document.dispatchEvent(event);
  return event.defaultPrevented;
}

test("a tag with our attributes makes the page's client, with a token from the page's server", async (t) => {
  const hub = await startHub(t);
  const { fetch } = globalThis;
  t.after(() => Object.assign(globalThis, { fetch }));
  const asked = recorder();
  Object.assign(globalThis, {
    /** @param {any} address @param {any} init */
    fetch(address, init) {
      if (address !== "/api/token") return fetch(address, init);
      asked(init);
      return new Response(" token-7\n");
    },
  });
  const page = await loadByTag({ url: hub.url, tokenUrl: "/api/token", keep: " theme  lang " });
  t.after(() => page.hub.close());
  await reaches(page.hub, "connected");
  assert.equal(hub.latest().handshake.auth.token, "token-7");
  assert.deepEqual(asked.calls, [{ cache: "no-store", mode: "same-origin" }]);
});

for (const [name, dataset, src] of /** @type {const} */ ([
  ["without our attributes", { theme: "dark" }, undefined],
  ["of another module", { logoutHub: "" }, "https://hub.test/client.js"],
]))
  test(`a tag ${name} makes no client`, async () => {
    const page = await loadByTag(dataset, src);
    assert.equal(page.hub, undefined);
    assert.equal(click(page.document, ""), false);
  });

test("a click on a button that says data-logout logs out, with its scope or all", async (t) => {
  const hub = await startHub(t);
  const commands = recorder();
  hub.io.on("connection", (socket) =>
    socket.on("logout", (command, ack) => {
      commands(command.scope);
      ack({ ok: true, scope: command.scope });
    }),
  );
  const page = await loadByTag({ url: hub.url });
  t.after(() => page.hub.close());
  await reaches(page.hub, "connected");
  assert.equal(click(page.document, null), false);
  assert.equal(click(page.document, "others"), true);
  await until("the command", () => commands.calls.length === 1);
  assert.equal(click(page.document, ""), true);
  await reaches(page.hub, "ended");
  assert.deepEqual(commands.calls, ["others", "all"]);
});

/** A page that is connected, and the scopes of the logouts that it asks for.
 * @param {import("node:test").TestContext} t @param {Record<string, string>} [dataset] */
async function openWithButtons(t, dataset) {
  const hub = await startHub(t);
  const scopes = recorder();
  hub.io.on("connection", (socket) =>
    socket.on("logout", (command, ack) => {
      scopes(command.scope);
      ack({ ok: true, scope: command.scope });
    }),
  );
  const page = await loadByTag({ url: hub.url, ...dataset });
  t.after(() => page.hub.close());
  await reaches(page.hub, "connected");
  return { ...page, scopes: scopes.calls };
}

test("a click on a link with data-logout, as people may write it in comments, ends nothing", async (t) => {
  const { document, hub, scopes } = await openWithButtons(t);
  for (const tag of ["a", "div", "span"]) assert.equal(click(document, "all", { tag }), false);
  await quietWhile();
  assert.deepEqual(scopes, []);
  assert.equal(hub.state, "connected");
});

test("with data-logout-in, only buttons within what it names log out", async (t) => {
  const { document, scopes } = await openWithButtons(t, { logoutIn: "#menu" });
  assert.equal(click(document, "all", { place: "#comments" }), false);
  assert.equal(click(document, "others", { place: "#menu" }), true);
  await until("the command", () => scopes.length === 1);
  assert.deepEqual(scopes, ["others"]);
});

test("a page's server that denies the token has no session, one that fails is asked again", async (t) => {
  const hub = await startHub(t);
  refuse(hub.io, ({ token }) => (token ? undefined : { ...REVOKED, code: "token_missing" }));
  const { fetch } = globalThis;
  t.after(() => Object.assign(globalThis, { fetch }));
  const answers = [new Response("", { status: 502 }), new Response("<p>", { status: 401 })];
  Object.assign(globalThis, { fetch: () => answers.shift() });
  const page = await loadByTag({ url: hub.url, tokenUrl: "/api/token" });
  t.after(() => page.hub.close());
  const error = recorder();
  page.hub.on("error", error);
  await until("the refusal", () => error.calls.length > 0);
  await quietWhile();
  assert.equal(error.calls[0].code, "token_missing");
  assert.deepEqual(answers, []);
});
