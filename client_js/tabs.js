/** Tells the browser's other tabs of a session and of its end, without the network. */
/** @import { LogoutNotification } from "./frames.js" */

/** @param {() => string | undefined} sid of this tab's session: a tab of another does not listen, so
 *   that a late message undoes no fresh login
 * @param {(notification: LogoutNotification) => void} ended */
export function createTabs(sid, ended) {
  const channel = globalThis.BroadcastChannel && new BroadcastChannel("logout-hub");
  let beside = false;
  if (channel)
    channel.onmessage = ({ data }) => {
      if (data?.login !== undefined && data.login !== sid()) beside = true;
      if (sid() !== undefined && data?.sid === sid()) ended(data.notification);
    };
  return {
    /** This tab's session is another than before. */
    claim: () => channel?.postMessage({ login: sid() }),
    /** Whether another session came to this browser since. */
    hasOther: () => beside,
    /** @param {LogoutNotification} notification */
    tell: (notification) => channel?.postMessage({ sid: sid(), notification }),
    close: () => channel?.close(),
  };
}
