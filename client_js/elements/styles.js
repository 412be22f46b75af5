/** The style of the elements. Any content security policy allows a constructed style sheet. */

const CSS = `
:host {
  --ink: var(--hub-ink, light-dark(#1b1d23, #eceef2));
  --soft: var(--hub-soft, light-dark(#595e69, #a5abb7));
  --line: var(--hub-line, light-dark(#d8d5cc, #343842));
  --surface: var(--hub-surface, light-dark(#fff, #22252d));
  --accent: var(--hub-accent, light-dark(#4049c7, #aab3ff));
  --on-accent: var(--hub-on-accent, light-dark(#fff, #16181d));
  --good: var(--hub-good, light-dark(#12693b, #74d19c));
  --warn: var(--hub-warn, light-dark(#8a4b00, #f2b86a));
  --radius: var(--hub-radius, 0.5rem);
  display: inline-block;
  color: var(--ink);
  line-height: 1.45;
  overflow-wrap: anywhere;
  text-align: left;
  text-wrap: pretty;
}
:host(:dir(rtl)) { text-align: right }
:host(session-list) { display: block }
:host([hidden]), [hidden] { display: none !important }
*, ::before, ::after { box-sizing: border-box }
h2, p, ul { margin: 0; padding: 0 }

button, a {
  min-height: 2.25rem;
  padding: 0.3rem 0.9rem;
  border: 1px solid color-mix(in srgb, var(--ink) 55%, transparent);
  border-radius: var(--radius);
  background: var(--surface);
  color: var(--ink);
  font: inherit;
  font-size: 0.875rem;
  text-align: center;
  cursor: pointer;
}
button:hover { border-color: var(--ink) }
.main {
  border-color: transparent;
  background: var(--accent);
  color: var(--on-accent);
  font-weight: 600;
}
.main:hover {
  border-color: transparent;
  background: color-mix(in srgb, var(--accent) 86%, var(--ink));
}
[aria-disabled="true"] {
  border-color: var(--line);
  background: transparent;
  color: var(--soft);
  cursor: default;
}
a { display: inline-flex; align-items: center; text-decoration: none }
h2, p, span, button, a { unicode-bidi: plaintext }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }

.message:empty { display: none }
.box > button ~ .message, .box > .message ~ a { margin-block-start: 0.5rem }
.message > * + * { margin-block-start: 0.25rem; color: var(--soft); font-size: 0.875rem }
.trouble { color: var(--warn) }
.unseen {
  position: absolute;
  overflow: hidden;
  width: 1px;
  height: 1px;
  clip-path: inset(50%);
  white-space: nowrap;
}

dialog {
  width: 27rem;
  max-width: calc(100vw - 2rem);
  max-height: calc(100dvh - 2rem);
  overflow: auto;
  padding: 1.25rem;
  border: 1px solid var(--line);
  border-radius: calc(var(--radius) * 2);
  background: var(--surface);
  color: inherit;
  font: inherit;
  line-height: inherit;
  white-space: normal;
  box-shadow: 0 1rem 3rem rgb(0 0 0 / 0.3);
}
dialog::backdrop { background: rgb(0 0 0 / 0.5) }
dialog[open] { display: grid; gap: 1rem }
h2 { font-size: 1.125rem; font-weight: 650; line-height: 1.3 }
.choices { display: grid; gap: 0.6rem }
.choice {
  position: relative;
  padding: 0.65rem 0.9rem;
  border: 1px solid color-mix(in srgb, var(--ink) 55%, transparent);
  border-radius: var(--radius);
}
.choice p { color: var(--soft); font-size: 0.875rem }
.choice button {
  min-height: 1.5rem;
  padding: 0;
  border: 0;
  background: none;
  font-size: 1rem;
  font-weight: 600;
  text-align: inherit;
}
.choice button::after {
  content: "";
  position: absolute;
  inset: -1px;
  border-radius: var(--radius);
}
.choice button:focus-visible { outline: 0 }
.choice button:focus-visible::after { outline: 3px solid var(--accent); outline-offset: 2px }
.choice:has(:not([aria-disabled="true"]):hover) {
  border-color: var(--accent);
  background: color-mix(in srgb, var(--accent) 6%, transparent);
}
.actions { display: flex; flex-wrap: wrap; justify-content: end; gap: 0.6rem }

.list {
  min-height: 5.25rem;
  border: 1px solid var(--line);
  border-radius: calc(var(--radius) * 1.5);
  background: var(--surface);
  list-style: none;
}
.loading { padding: 1.75rem 1rem; color: var(--soft) }
.session {
  display: grid;
  grid-template-columns: minmax(0, 1fr) auto;
  align-items: center;
  gap: 0.75rem;
  min-height: 5.25rem;
  padding: 0.75rem 1rem;
}
.session + .session { border-block-start: 1px solid var(--line) }
.device { display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.5rem; font-weight: 600 }
.details { display: flex; flex-wrap: wrap; gap: 0 0.75rem }
.badge {
  display: inline-block;
  padding: 0 0.5em;
  border-radius: 1em;
  background: color-mix(in srgb, var(--accent) 15%, transparent);
  color: var(--accent);
  font-size: 0.75rem;
  font-weight: 600;
  white-space: nowrap;
}
.state, .details { color: var(--soft); font-size: 0.875rem }
.dot {
  flex: none;
  width: 0.55em;
  height: 0.55em;
  border: 2px solid currentColor;
  border-radius: 50%;
}
.state { display: flex; align-items: baseline; gap: 0.45em }
.online .state { color: var(--good) }
.online .dot { background: currentColor }
.foot { display: grid; justify-items: start; gap: 0.75rem; margin-block-start: 0.75rem }
.foot:not(:has(> :not([hidden], :empty, .unseen))) { display: none }
@media (max-width: 30rem) {
  dialog { margin-block-end: 1rem }
  .foot > :is(button, a) { justify-content: center; width: 100% }
}
@media (forced-colors: active) {
  .online .dot { background: CanvasText }
}
`;

/** @type {CSSStyleSheet | undefined} */
let sheet;

export function styleSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
