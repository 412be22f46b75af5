/** The elements of logout-hub: `<logout-button>` and `<session-list>`. Importing defines them. */
import { LogoutButton } from "./elements/logout-button.js";
import { SessionList } from "./elements/session-list.js";
import { setTexts } from "./elements/texts.js";
export { LogoutButton, SessionList, setTexts };
