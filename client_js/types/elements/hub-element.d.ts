export type Hub = {
    logout: (options: {
        scope: "all" | "others" | "session";
    }) => Promise<Receipt>;
    sessions: () => Promise<ListedSession[]>;
    end: (sid: string) => Promise<Receipt>;
    receipt: (id: string, wait?: number) => Promise<Receipt>;
    on: (event: any, listener: (value: any) => void) => () => void;
    session: string | undefined;
    state: string;
};
import type { ListedSession, Receipt } from "../core.js";
/** A server, where nothing is ever shown, may still import the elements. */
declare const Base: typeof HTMLElement;
export declare class HubElement extends Base {
    #private;
    static observedAttributes: string[];
    /** All that is shown, so that it can say which language it is in. @protected */
    protected box: any;
    /** Whether the own session has ended. @protected */
    protected isOver: boolean;
    constructor();
    /** What the element talks to: the page's hub unless another is given. */
    get hub(): Hub | undefined;
    set hub(hub: Hub | undefined);
    /** @protected */
    protected get words(): import("./texts.js").Words;
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(): void;
    /** @protected @param {Receipt} receipt */
    protected announce(receipt: Receipt): void;
    /** It is in a document. @protected @param {AbortSignal} _signal aborted when it no longer is */
    protected appeared(_signal: AbortSignal): void;
    /** It has a hub. @protected @param {Hub} _hub */
    protected joined(_hub: Hub): void;
    /** @protected @param {string} _state */
    protected stateChanged(_state: string): void;
    /** What it asked for without a connection is done. @protected @param {Receipt} _answer */
    protected delivered(_answer: Receipt): void;
    /** Sessions of this user were ended on this page. @protected */
    protected othersEnded(): void;
    /** The own session is over.
     * @protected @param {string} _message the app's words for it, if any */
    protected ended(_message: string): void;
    /** Everything is to be said in `words`. @protected */
    protected retext(): void;
}
export {};
