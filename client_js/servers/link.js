/** The network between a client and a server: it can break in the ways that networks do. */
import { connect, createServer } from "node:net";

/** @typedef {Awaited<ReturnType<typeof startLink>>} Link */

const NO_UPGRADE = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/** @param {import("node:test").TestContext} t @param {number} port where the server listens */
export async function startLink(t, port) {
  /** @type {Set<import("node:net").Socket[]>} */
  const pairs = new Set();
  const link = {
    url: "",
    /** How many connections were asked for. */
    asked: 0,
    isDown: false,
    blocksWebSockets: false,

    /** All connections break. */
    cut() {
      for (const ends of pairs) for (const end of ends) end.destroy();
    },
    /** Nothing goes through the present connections any more, and nobody is told. */
    stall() {
      for (const ends of pairs) for (const end of ends) end.unpipe().pause();
    },
  };
  const server = createServer((near) => {
    link.asked += 1;
    if (link.isDown) return void near.destroy();
    const far = connect(port, "127.0.0.1");
    const ends = [near, far];
    pairs.add(ends);
    for (const end of ends) {
      end.on("error", () => {});
      end.on("close", () => {
        for (const other of ends) other.destroy();
        pairs.delete(ends);
      });
    }
    near.once("data", (first) => {
      const isUpgrade = /^upgrade: websocket/im.test(first.toString("latin1"));
      if (isUpgrade && link.blocksWebSockets) return void near.end(NO_UPGRADE);
      far.write(first);
      near.pipe(far).pipe(near);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  link.url = `http://127.0.0.1:${address.port}`;
  t.after(() => {
    server.close();
    link.cut();
  });
  return link;
}
