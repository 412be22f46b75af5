/** One device in the list; its row stays for as long as the session lives, to keep the focus. */
/** @import { ListedSession } from "../core.js" */
/** @import { Words } from "./texts.js" */
import { ago } from "./ago.js";
import { make, makeButton, write } from "./dom.js";
import { nameOf, say } from "./speech.js";

/** @typedef {ReturnType<typeof createRow>} Row */

/** @param {Words} words @param {number} seconds since 1970 */
function makeTime({ lang }, seconds) {
  const date = new Date(seconds * 1000);
  const full = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" });
  const attributes = { datetime: date.toISOString(), title: full.format(date) };
  return make("time", attributes, ago(lang, seconds, Date.now() / 1000));
}

/** @param {Words} words @param {ListedSession} session @returns {(Node | string)[]} when its login
 * began and from where, to distinguish devices of the same name */
export const describeOrigin = (words, { created_at, ip }) => [
  ...say(words, "since", { time: makeTime(words, created_at) }),
  " ",
  make("bdi", {}, ip),
];

/** @param {ListedSession} first @param {number} number one that no other row has
 * @param {(row: Row) => unknown} end */
export function createRow(first, number, end) {
  const name = make("span", { id: `name-${number}` });
  const badge = make("span", { class: "badge", part: "badge" });
  const device = make("p", { class: "device", part: "device" }, name, " ", badge);
  const status = make("span");
  const dot = make("span", { class: "dot", part: "dot", "aria-hidden": "true" });
  const state = make("p", { class: "state", part: "state" }, dot, status);
  const details = make("p", { class: "details", part: "details" });
  const about = make("div", { id: `about-${number}` }, state, details);
  const button = makeButton("end", () => end(row));
  button.id = `end-${number}`;
  button.setAttribute("aria-labelledby", `${button.id} ${name.id}`);
  button.setAttribute("aria-describedby", about.id);
  const element = make("li", {}, make("div", {}, device, about), button);

  const row = {
    element,
    button,
    session: first,

    /** @param {Words} words @param {ListedSession} session */
    update(words, session) {
      const { online, current, last_seen_at } = session;
      row.session = session;
      element.className = `session${online ? " online" : ""}`;
      element.part.value = `session${current ? " current" : ""}${online ? " online" : ""}`;
      write(name, [make("bdi", {}, nameOf(words, session.device))]);
      write(badge, current ? say(words, "thisDevice") : []);
      badge.hidden = !current;
      const seen = () => say(words, "lastSeen", { time: makeTime(words, last_seen_at) });
      write(status, online ? say(words, "online") : seen());
      write(details, describeOrigin(words, session));
      write(button, say(words, "logOut"));
    },
  };
  return row;
}
