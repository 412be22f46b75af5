// Registered to be found, or not to be found any more; it does nothing.
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
