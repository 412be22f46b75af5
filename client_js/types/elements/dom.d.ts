/** Helpers for the document. Text from users only becomes text nodes. */
/** @param {string} tag @param {Record<string, string>} attributes @param {(Node | string)[]} children
 * @returns {any} */
export declare function make(tag: string, attributes?: Record<string, string>, ...children: (Node | string)[]): any;
/** @param {string} part @param {() => unknown} click @returns {HTMLButtonElement} */
export declare function makeButton(part: string, click: () => unknown): HTMLButtonElement;
/** Unlike `disabled`, this keeps the focus where it is. @param {Element} button @param {boolean} is */
export declare const setBusy: (button: Element, is: boolean) => void;
/** @param {Element} button */
export declare const isBusy: (button: Element) => boolean;
/** Changes nothing if the text is the same, so that nothing is announced or deselected needlessly.
 * @param {Element} element @param {(Node | string)[]} pieces */
export declare function write(element: Element, pieces: (Node | string)[]): void;
