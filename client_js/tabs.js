/** Tells the browser's other tabs of a session and of its end, without the network. */
/** @import { Core, Part } from "./core.js" */
import { toNotification } from "./frames.js";
import { isAnother } from "./present.js";

/** A tab of another session does not listen, so that a late message undoes no fresh login.
 * @param {Core} core @returns {Part} */
export function tabs(core) {
  const { session } = core;
  if (!globalThis.BroadcastChannel) return {};
  const channel = new BroadcastChannel("logout-hub");
  let beside = false;
  channel.onmessage = ({ data }) => {
    if (data?.login && data.login !== session.sid()) beside = true;
    if (session.sid() && data?.sid === session.sid())
      void session.finish(toNotification(data.notification));
  };
  return {
    accepted: (isNew) => isNew && channel.postMessage({ login: session.sid() }),
    isTaken: () => beside && !core.options.storages && isAnother(core),
    ended(notification, taken) {
      if (!taken && !session.isClosed()) channel.postMessage({ sid: session.sid(), notification });
      channel.close();
    },
    closed: () => channel.close(),
  };
}
