// The part of react-native that the page on mobile clients uses, moved by hand.
const listeners = new Set();

export const AppState = {
  currentState: "active",
  addEventListener(_event, listener) {
    listeners.add(listener);
    return { remove: () => listeners.delete(listener) };
  },
};

/** What the phone does to the app. @param {"active" | "inactive" | "background"} state */
export function go(state) {
  AppState.currentState = state;
  for (const listener of listeners) listener(state);
}
