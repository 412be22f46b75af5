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
/** So that a server, where there is no `HTMLElement`, can import the elements. */
declare const Base: typeof HTMLElement;
export declare class HubElement extends Base {
    #private;
    static observedAttributes: string[];
    /** Contains everything, so that its `lang` can be set. @protected */
    protected box: any;
    /** Whether the own session has ended. @protected */
    protected isOver: boolean;
    constructor();
    /** The client that the element uses: the page's unless another is set. */
    get hub(): Hub | undefined;
    set hub(hub: Hub | undefined);
    /** @protected */
    protected get words(): import("./texts.js").Words;
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(): void;
    /** @protected @param {Receipt} receipt */
    protected announce(receipt: Receipt): void;
    /** Connected to a document. @protected @param {AbortSignal} _signal aborted when it no longer is */
    protected appeared(_signal: AbortSignal): void;
    /** A hub was set. @protected @param {Hub} _hub */
    protected joined(_hub: Hub): void;
    /** @protected @param {string} _state */
    protected stateChanged(_state: string): void;
    /** A pending logout was delivered to the hub. @protected @param {Receipt} _answer */
    protected delivered(_answer: Receipt): void;
    /** Sessions of this user were ended on this page. @protected */
    protected othersEnded(): void;
    /** The own session is over.
     * @protected @param {string} _message the app's words for it, if any */
    protected ended(_message: string): void;
    /** The language has changed: render everything in `words`. @protected */
    protected retext(): void;
}
export {};
