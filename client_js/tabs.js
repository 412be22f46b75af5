/** Tells the browser's other tabs of a session and of its end, without the network. */
/** @import { Core, Part } from "./core.js" */
import { toNotification } from "./frames.js";
import { isAnother } from "./present.js";

/** A tab of another session does not listen, so that a late message undoes no fresh login.
 * @param {Core} core @returns {Part} */
export function tabs(core) {
  const { sid, finish, isClosed } = core.session;
  const channel = globalThis.BroadcastChannel && new BroadcastChannel("logout-hub");
  let beside = false;
  if (channel)
    channel.onmessage = ({ data }) => {
      if (data?.login && data.login !== sid()) beside = true;
      if (sid() && data?.sid === sid()) void finish(toNotification(data.notification));
    };
  return {
    accepted: (isNew) => isNew && channel?.postMessage({ login: sid() }),
    isTaken: () => beside && !core.options.storages && isAnother(core),
    ended(notification, taken) {
      if (!taken && !isClosed()) channel?.postMessage({ sid: sid(), notification });
      channel?.close();
    },
    closed: () => channel?.close(),
  };
}
