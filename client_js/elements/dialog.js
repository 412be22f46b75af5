/** A modal question: the browser's own dialog traps the focus, and restores it. */
import { make, makeButton } from "./dom.js";

/** @param {(Node | string)[]} content between the title and the buttons
 * @param {(close: () => void) => HTMLButtonElement[]} buttons */
export function createDialog(content, buttons) {
  const title = make("h2", { part: "title", id: "title" });
  const cancel = makeButton("cancel", () => element.close());
  const actions = make("div", { class: "actions", part: "actions" }, cancel);
  const attributes = { part: "dialog", "aria-labelledby": "title", closedby: "any" };
  const element = make("dialog", attributes, title, ...content, actions);
  actions.append(...buttons(() => element.close()));
  return { element, title, cancel };
}
