/** Helpers for the document. Text from users only becomes text nodes. */

/** @param {string} tag @param {Record<string, string>} attributes @param {(Node | string)[]} children
 * @returns {any} */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {string} part @param {() => unknown} click @returns {HTMLButtonElement} */
export function makeButton(part, click) {
  const button = make("button", { part, type: "button" });
  button.addEventListener("click", () => isBusy(button) || click());
  return button;
}

/** Unlike `disabled`, this keeps the focus where it is. @param {Element} button @param {boolean} is */
export const setBusy = (button, is) => button.setAttribute("aria-disabled", String(is));

/** @param {Element} button */
export const isBusy = (button) => button.getAttribute("aria-disabled") === "true";

/** Changes nothing if the text is the same, so that nothing is announced or deselected needlessly.
 * @param {Element} element @param {(Node | string)[]} pieces */
export function write(element, pieces) {
  const next = make("span", {}, ...pieces);
  if (next.textContent !== element.textContent) element.replaceChildren(...next.childNodes);
}
