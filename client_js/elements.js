/** The elements of logout-hub: `<logout-button>` and `<session-list>`. Importing defines them. */
import { LogoutButton } from "./elements/logout-button.js";
import { SessionList } from "./elements/session-list.js";
import { setTexts } from "./elements/texts.js";

for (const [name, element] of Object.entries({
  "logout-button": LogoutButton,
  "session-list": SessionList,
}))
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, element);

export { LogoutButton, SessionList, setTexts };
