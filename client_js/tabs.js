/** Notifies the browser's other tabs of a session of its end, without the network. */
/** @import { Core, Hooks } from "./core.js" */
import { isReplaced } from "./current-login.js";
import { toNotification } from "./frames.js";

/** Tabs of other sessions ignore the message, so that a late one does not end a new login.
 * @param {Core} core @returns {Hooks} */
export function tabs(core) {
  const { session } = core;
  if (!globalThis.BroadcastChannel) return {};
  const channel = new BroadcastChannel("logout-hub");
  let sawOtherLogin = false;
  channel.onmessage = ({ data }) => {
    if (data?.login && data.login !== session.sid) sawOtherLogin = true;
    if (data?.sid && data.sid === session.sid)
      void session.dispatch("ended", toNotification(data.notification));
  };
  return {
    accepted: (isNew) => isNew && channel.postMessage({ login: session.sid }),
    isReplaced: () => sawOtherLogin && isReplaced(core),
    ended(notification, replaced) {
      if (!replaced && session.status !== "closed")
        channel.postMessage({ sid: session.sid, notification });
      channel.close();
    },
    closed: () => channel.close(),
  };
}
