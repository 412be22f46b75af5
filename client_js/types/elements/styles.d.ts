/** How the elements look. A sheet made by a script needs no leave of a content security policy. */
export declare function styleSheet(): CSSStyleSheet;
