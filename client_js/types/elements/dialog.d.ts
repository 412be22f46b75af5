/** @param {(Node | string)[]} content between the title and the buttons
 * @param {(close: () => void) => HTMLButtonElement[]} buttons */
export declare function createDialog(content: (Node | string)[], buttons: (close: () => void) => HTMLButtonElement[]): {
    element: any;
    title: any;
    cancel: HTMLButtonElement;
};
