// What a page keeps in the browser. A logout clears it, in every tab and on every device.
const draft = document.querySelector("#draft");
draft.value = localStorage.getItem("draft") ?? "";
draft.addEventListener("input", () => localStorage.setItem("draft", draft.value));
