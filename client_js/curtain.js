/** The public name of the plug-in `hiding`: apps import `logout-hub-client/curtain`. */
export { hiding as curtain } from "./hiding.js";
