// Says in each frame that is painted whether the private content can be seen, when that changes.
let seen;

function look() {
  const main = document.querySelector("main");
  const isShown = main?.checkVisibility({ visibilityProperty: true }) && !main.inert;
  return isShown ? "shown" : "hidden";
}

function watch() {
  const now = look();
  if (now !== seen) window.tell?.(now);
  seen = now;
  requestAnimationFrame(watch);
}

window.addEventListener("pageshow", ({ persisted }) => {
  window.tell?.("arrived", { persisted });
  seen = undefined;
});
// Freezing takes its time. What is seen at the resume is what the browser held all the while.
document.addEventListener("freeze", () => window.tell?.("frozen"));
document.addEventListener("resume", () => window.tell?.("resumed", look()));
watch();
