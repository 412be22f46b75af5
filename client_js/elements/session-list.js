/** `<session-list>`: a live list of where a user is logged in, with buttons to end sessions. */
/** @import { ListedSession, Receipt } from "../core.js" */
/** @import { Hub } from "./hub-element.js" */
/** @import { Row } from "./session-row.js" */
/** @import { Speech } from "./speech.js" */
import { createDialog } from "./dialog.js";
import { isBusy, make, makeButton, setBusy, write } from "./dom.js";
import { HubElement } from "./hub-element.js";
import { followReceipt } from "./outcome.js";
import { createRow, describeOrigin } from "./session-row.js";
import {
  describeEnd,
  describeError,
  describeReceipt,
  isPassing,
  nameAll,
  nameOf,
  say,
} from "./speech.js";

const REFRESH_MS = 5_000;

export class SessionList extends HubElement {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** Sessions that ended; a late response must not show them again. @type {Set<string>} */
  #ended = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asked = 0;
  #made = 0;
  #speech = () => /** @type {Speech} */ ([]);
  /** @type {any} what is wrong with the list itself */
  #trouble;
  /** @type {Row | "others" | undefined} what the question is about */
  #subject;

  #loading = make("li", { class: "loading", part: "loading" });
  #list = make("ul", { class: "list", part: "list", role: "list" }, this.#loading);
  #news = make("p", { class: "unseen", role: "status" });
  #notice = make("p", { class: "trouble", part: "notice", role: "status" });
  #message = make("div", { class: "message", part: "message", role: "status", tabindex: "-1" });
  #login = make("a", { class: "main", part: "login" });
  #retry = makeButton("retry", () => this.refresh());
  #endOthers = makeButton("end-others", () => this.#ask("others"));
  #hint = make("p", { part: "text", id: "hint" });
  #confirm = makeButton("confirm", () => this.#end());
  #dialog = createDialog([this.#hint], () => [this.#confirm]);

  constructor() {
    super();
    this.#confirm.className = "main";
    this.#dialog.element.setAttribute("aria-describedby", "hint");
    const shown = [this.#endOthers, this.#message, this.#notice, this.#login, this.#retry];
    const foot = make("div", { class: "foot", part: "foot" }, ...shown, this.#news);
    this.box.append(this.#list, foot, this.#dialog.element);
  }

  /** @param {AbortSignal} signal */
  appeared(signal) {
    const wake = () => this.#isWatched() && this.refresh();
    document.addEventListener("visibilitychange", wake, { signal });
    for (const event of ["online", "pageshow"]) addEventListener(event, wake, { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  joined() {
    this.#speech = () => [];
    this.#trouble = undefined;
    this.#ended.clear();
    this.#show([]);
    this.refresh();
  }

  othersEnded() {
    this.refresh();
  }

  /** @param {Receipt} answer */
  delivered(answer) {
    const { hub } = this;
    if (hub) void followReceipt(hub, answer, (it) => this.#outcome(hub, it, hub.session));
  }

  /** @param {string} state */
  stateChanged(state) {
    if (state === "connected") this.refresh();
  }

  /** Removes the names of devices, which are private. @param {string} message */
  ended(message) {
    clearTimeout(this.#timer);
    this.#trouble = undefined;
    this.#dialog.element.close();
    this.#subject = undefined;
    for (const element of [this.#news, this.#hint, this.#dialog.title]) write(element, []);
    this.#speech = () => describeEnd(this.words, message);
    this.#show([]);
  }

  /** Asks the hub for the list now. */
  async refresh() {
    const { hub } = this;
    if (!hub || this.isOver || !this.isConnected) return;
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    const [sessions, trouble] = await hub.sessions().then(
      (list) => [list, undefined],
      (error) => [undefined, error],
    );
    // Only the latest response counts, and none after the end of the session.
    if (asked !== this.#asked || this.isOver || !this.isConnected) return;
    this.#trouble = trouble;
    if (sessions) this.#take(sessions);
    else this.retext();
    const again = () => this.#isWatched() && this.refresh();
    if (!trouble || isPassing(trouble)) this.#timer = setTimeout(again, REFRESH_MS);
  }

  #isWatched() {
    return document.visibilityState === "visible";
  }

  /** @param {ListedSession[]} sessions */
  #take(sessions) {
    const living = sessions.filter(({ sid }) => !this.#ended.has(sid));
    const isFirst = this.#rows.size === 0;
    const came = living.filter(({ sid }) => !this.#rows.has(sid));
    const gone = [...this.#rows.values()].filter(
      ({ session: { sid } }) => !sessions.some((session) => session.sid === sid),
    );
    this.#show(living);
    /** @param {string} key @param {string} device */
    const tell = (key, device) => [
      ...say(this.words, key, { name: nameOf(this.words, device) }),
      " ",
    ];
    const news = [
      ...came.flatMap(({ device }) => tell("arrived", device)),
      ...gone.flatMap(({ session }) => tell("left", session.device)),
    ];
    if (!isFirst && news.length) write(this.#news, news);
    this.dispatchEvent(new CustomEvent("sessions", { detail: living }));
  }

  /** The own session first, then in the hub's order, so that rows keep their places.
   * @param {ListedSession[]} sessions */
  #show(sessions) {
    const hadFocus = this.#list.contains(this.shadowRoot?.activeElement ?? null);
    const wanted = new Set(sessions.map(({ sid }) => sid));
    for (const [sid, row] of this.#rows) if (!wanted.has(sid)) this.#remove(sid, row);
    const ordered = [...sessions].sort((a, b) => Number(b.current) - Number(a.current));
    for (const [index, session] of ordered.entries()) {
      const row =
        this.#rows.get(session.sid) ?? createRow(session, ++this.#made, (it) => this.#ask(it));
      this.#rows.set(session.sid, row);
      row.update(this.words, session);
      const place = this.#list.children[index];
      if (place !== row.element) this.#list.insertBefore(row.element, place ?? null);
    }
    this.retext();
    if (hadFocus && !this.shadowRoot?.activeElement) this.#message.focus();
  }

  /** Moves the focus to the next device. @param {string} sid @param {Row} row */
  #remove(sid, row) {
    if (this.#subject === row) this.#dialog.element.close();
    const hadFocus = row.button === this.shadowRoot?.activeElement;
    const { previousElementSibling, nextElementSibling } = row.element;
    row.element.remove();
    this.#rows.delete(sid);
    const near = nextElementSibling?.querySelector("button");
    if (hadFocus) (near ?? previousElementSibling?.querySelector("button"))?.focus();
  }

  // ---- Ending ----

  /** @param {Row | "others"} subject */
  #ask(subject) {
    this.#subject = subject;
    this.#retextQuestion();
    this.#dialog.element.showModal();
  }

  async #end() {
    const { hub } = this;
    const subject = this.#subject;
    this.#dialog.element.close();
    if (!hub || !subject) return;
    const button = subject === "others" ? this.#endOthers : subject.button;
    if (isBusy(button)) return;
    setBusy(button, true);
    this.#announce(() => [make("p", {}, ...say(this.words, "busy"))]);
    const own = hub.session ?? this.#own()?.session.sid;
    try {
      const answer = await (subject === "others"
        ? hub.logout({ scope: "others" })
        : hub.end(subject.session.sid));
      for (const { sid } of answer.sessions) this.#ended.add(sid);
      this.#show(this.#shown().filter(({ sid }) => !this.#ended.has(sid)));
      setBusy(button, false);
      await followReceipt(hub, answer, (receipt) => this.#outcome(hub, receipt, own));
    } catch (error) {
      // That the session is over says more.
      if (!this.isOver)
        this.#announce(() => [
          make("p", { class: "trouble" }, ...describeError(this.words, error)),
        ]);
    }
    setBusy(button, false);
    this.refresh();
  }

  /** @param {Hub} hub @param {Receipt} receipt @param {string | undefined} own */
  #outcome(hub, receipt, own) {
    if (this.hub === hub)
      this.#announce(() => describeReceipt(this.words, receipt, own, this.isOver));
    this.announce(receipt);
  }

  #shown() {
    return [...this.#rows.values()].map(({ session }) => session);
  }

  #own() {
    return [...this.#rows.values()].find(({ session }) => session.current);
  }

  // ---- Words ----

  /** Rendered again when the language changes. @param {() => Speech} speech */
  #announce(speech) {
    this.#speech = speech;
    write(this.#message, speech());
  }

  retext() {
    const active = this.shadowRoot?.activeElement;
    const { words } = this;
    const login = this.getAttribute("login-url");
    const isRefused = this.#trouble && !isPassing(this.#trouble);
    const others = this.#shown().filter(({ current }) => !current);
    for (const row of this.#rows.values()) row.update(words, row.session);
    this.#list.setAttribute("aria-label", words.texts.devices);
    write(this.#loading, say(words, "loading"));
    this.#loading.hidden = this.#rows.size > 0 || Boolean(this.#trouble);
    this.#list.hidden = this.isOver || (isRefused && this.#rows.size === 0);
    write(this.#message, this.#speech());
    write(this.#notice, this.#trouble ? this.#complain() : []);
    write(this.#retry, say(words, "retry"));
    this.#retry.hidden = !this.#trouble;
    write(this.#login, say(words, "loginAgain"));
    this.#login.hidden = login === null || !(this.isOver || isRefused);
    if (login !== null) this.#login.href = login;
    write(this.#endOthers, say(words, "endOthers"));
    this.#endOthers.hidden = others.length === 0;
    write(this.#dialog.cancel, say(words, "cancel"));
    this.#retextQuestion();
    // If the button was removed, the focus moves to the message.
    if (active instanceof HTMLElement && active.hidden) this.#message.focus();
  }

  #complain() {
    const { code } = this.#trouble;
    return code === "unavailable"
      ? say(this.words, "stale")
      : describeError(this.words, this.#trouble);
  }

  #retextQuestion() {
    const { words } = this;
    const subject = this.#subject;
    if (!subject) return;
    if (subject === "others") {
      const others = this.#shown().filter(({ current }) => !current);
      const names = nameAll(
        words,
        others.map(({ device }) => device),
      );
      write(this.#dialog.title, say(words, "confirmOthers"));
      write(this.#hint, say(words, "othersHint", { names }));
    } else {
      const { session } = subject;
      const name = nameOf(words, session.device);
      const hint = say(words, session.current ? "confirmOwnHint" : "confirmOneHint");
      const [, twin] = this.#shown().filter(({ device }) => nameOf(words, device) === name);
      if (twin) hint.unshift(...describeOrigin(words, session), ". ");
      write(this.#dialog.title, say(words, "confirmOne", { name }));
      write(this.#hint, hint);
    }
    write(this.#confirm, say(words, subject === "others" ? "endOthers" : "logOut"));
  }
}
