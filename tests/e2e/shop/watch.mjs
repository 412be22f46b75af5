// Says in each frame that is painted whether the private content can be seen, when that changes.
let seen;

function watch() {
  const main = document.querySelector("main");
  const now = main?.checkVisibility({ visibilityProperty: true }) && !main.inert;
  if (now !== seen) window.tell?.(now ? "shown" : "hidden");
  seen = now;
  requestAnimationFrame(watch);
}

window.addEventListener("pageshow", ({ persisted }) => {
  window.tell?.("arrived", { persisted });
  seen = undefined;
});
// Freezing takes its time.
document.addEventListener("freeze", () => window.tell?.("frozen"));
watch();
