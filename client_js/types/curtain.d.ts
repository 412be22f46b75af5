/** The name by which apps import `hiding`. */
export { hiding as curtain } from "./hiding.js";
