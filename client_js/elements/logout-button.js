/** `<logout-button>`: a button that asks where to log out, and shows the result. */
/** @import { ListedSession, Receipt } from "../core.js" */
/** @import { Hub } from "./hub-element.js" */
/** @import { Speech } from "./speech.js" */
import { createDialog } from "./dialog.js";
import { isBusy, make, makeButton, setBusy, write } from "./dom.js";
import { HubElement } from "./hub-element.js";
import { followReceipt } from "./outcome.js";
import { describeEnd, describeError, describeReceipt, isPassing, nameAll, say } from "./speech.js";

/** @typedef {"session" | "others" | "all"} Scope */

const LABELS = { session: "here", others: "others", all: "everywhere" };

/** How long the question waits for the names of the other devices. */
const PATIENCE_MS = 500;

/** @param {Scope} scope @param {(scope: Scope) => unknown} choose */
function createChoice(scope, choose) {
  const button = makeButton("choice-label", () => choose(scope));
  const hint = make("p", { part: "choice-hint", id: scope });
  button.setAttribute("aria-describedby", hint.id);
  const card = make("div", { class: "choice", part: "choice" }, button, hint);
  return { scope, card, button, hint };
}

export class LogoutButton extends HubElement {
  #button = makeButton("button", () => this.#open());
  #choices = /** @type {Scope[]} */ (["session", "others", "all"]).map((scope) =>
    createChoice(scope, (chosen) => this.#logOut(chosen)),
  );
  #list = make("div", { class: "choices" }, ...this.#choices.map(({ card }) => card));
  /** Two live regions, since screen readers ignore the page behind an open dialog. */
  #answer = make("div", { class: "message", part: "message", role: "status" });
  #outside = make("div", { class: "message", part: "message", role: "status" });
  #login = make("a", { class: "main", part: "login" });
  #dialog = createDialog([this.#list, this.#answer], () => []);
  /** The others, once they are known. @type {ListedSession[] | undefined} */
  #others;
  #speech = () => /** @type {Speech} */ ([]);
  #isDone = false;
  #isRefused = false;
  #attempt = 0;

  constructor() {
    super();
    this.#button.setAttribute("aria-haspopup", "dialog");
    this.#dialog.element.addEventListener("close", () => this.#closed());
    this.box.append(this.#button, this.#outside, this.#login, this.#dialog.element);
  }

  joined() {
    this.#attempt += 1;
    this.#isRefused = false;
    this.#announce(() => []);
  }

  /** @param {string} message */
  ended(message) {
    this.#isDone = true;
    this.#others = undefined;
    this.#speech = () => describeEnd(this.words, message);
    this.retext();
  }

  retext() {
    const { words } = this;
    const others = this.#others?.map(({ device }) => device);
    /** @param {Scope} scope */
    const hint = (scope) => {
      if (scope !== "session" && others?.length === 0) return say(words, "alone");
      const names = others ? nameAll(words, others) : say(words, "otherDevices");
      return say(words, `${LABELS[scope]}Hint`, { names });
    };
    for (const { scope, button, hint: text } of this.#choices) {
      write(button, say(words, LABELS[scope]));
      write(text, hint(scope));
    }
    write(this.#button, say(words, "logOut"));
    write(this.#login, say(words, "loginAgain"));
    this.#show();
  }

  /** The question lists the names if they arrive soon, and never changes once it is shown. */
  async #open() {
    const { hub } = this;
    if (!hub) return;
    // The last logout is still in progress.
    if (this.#choices.some(({ button }) => isBusy(button))) return this.#dialog.element.showModal();
    setBusy(this.#button, true);
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
    const asked = hub.sessions().catch(() => undefined);
    const sessions = /** @type {ListedSession[] | undefined} */ (await Promise.race([asked, late]));
    setBusy(this.#button, false);
    if (!this.isConnected || this.isOver) return;
    this.#others = sessions?.filter(({ current }) => !current);
    this.#isDone = this.#isRefused = false;
    this.#attempt += 1;
    this.#speech = () => [];
    this.retext();
    this.#dialog.element.showModal();
  }

  /** @param {Scope} scope */
  async #logOut(scope) {
    const { hub } = this;
    if (!hub) return;
    this.#setBusy(true);
    this.#announce(() => [make("p", {}, ...say(this.words, "busy"))]);
    const own = hub.session;
    try {
      const answer = await hub.logout({ scope });
      this.#isDone = true;
      this.#setBusy(false);
      await this.#follow(hub, answer, own);
    } catch (error) {
      this.#setBusy(false);
      // That the session is over says more.
      if (this.isOver) return;
      this.#isRefused = !isPassing(error);
      this.#announce(() => [make("p", { class: "trouble" }, ...describeError(this.words, error))]);
    }
  }

  /** Until the user starts something else. @param {Hub} hub @param {Receipt} answer
   * @param {string | undefined} own */
  async #follow(hub, answer, own) {
    const attempt = this.#attempt;
    await followReceipt(hub, answer, (receipt) => {
      this.announce(receipt);
      if (attempt !== this.#attempt) return;
      this.#announce(() => describeReceipt(this.words, receipt, own, this.isOver));
    });
  }

  /** @param {Receipt} answer */
  delivered(answer) {
    if (this.hub) void this.#follow(this.hub, answer, this.hub.session);
  }

  /** A result shown in the dialog is not repeated, except that the session has ended. */
  #closed() {
    if (this.#isDone && !this.isOver) this.#speech = () => [];
    this.#show();
  }

  /** @param {boolean} is */
  #setBusy(is) {
    for (const { button } of this.#choices) setBusy(button, is);
  }

  /** Rendered again when the language changes. @param {() => Speech} speech */
  #announce(speech) {
    this.#speech = speech;
    this.#show();
  }

  /** While the dialog is open, its live region is used, and otherwise the page's. */
  #show() {
    const { element, title, cancel } = this.#dialog;
    const login = this.getAttribute("login-url");
    const hadFocus = this.#list.contains(this.shadowRoot?.activeElement);
    write(title, say(this.words, this.#isDone ? "doneTitle" : "where"));
    write(cancel, say(this.words, this.#isDone ? "close" : "cancel"));
    write(this.#answer, element.open ? this.#speech() : []);
    write(this.#outside, element.open ? [] : this.#speech());
    this.#list.hidden = this.#isDone;
    this.#button.hidden = this.isOver;
    this.#login.hidden = login === null || !(this.isOver || this.#isRefused);
    if (login !== null) this.#login.href = login;
    if (this.#isDone && hadFocus) cancel.focus();
  }
}
