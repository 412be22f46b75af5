/** The style of the elements. Any content security policy allows a constructed style sheet. */
export declare function styleSheet(): CSSStyleSheet;
