import { createLogoutHub } from "logout-hub-client";
import { useCallback, useEffect, useEffectEvent, useState, useSyncExternalStore } from "react";

/**
 * Holds a session at the hub for as long as the component is there.
 * @param {object} options of createLogoutHub; the same object at each render
 * @param {(notification: object) => void} onLogout called once, when all is cleared
 * @returns {{hub: object | undefined, state: string}}
 */
export function useLogoutHub(options, onLogout) {
  const [hub, setHub] = useState();
  const ended = useEffectEvent(onLogout);

  useEffect(() => {
    const made = createLogoutHub({ ...options, onLogout: (notification) => ended(notification) });
    setHub(made);
    return () => made.close();
  }, [options]);

  const subscribe = useCallback((changed) => hub?.on("state", changed) ?? (() => {}), [hub]);
  const state = useSyncExternalStore(subscribe, () => hub?.state ?? "connecting");
  return { hub, state };
}
