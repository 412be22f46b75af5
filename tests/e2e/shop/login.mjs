// Says why the person is here, once.
const why = sessionStorage.getItem("goodbye");
sessionStorage.removeItem("goodbye");
document.querySelector("output").textContent = why ?? "";
