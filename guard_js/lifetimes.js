/** Ties a watch to the life of the response or socket that it is for. */

/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */

/** Something of a client, and the event that tells of its end. It may be shared, as a connection is.
 * @typedef {[emitter: any, event: string]} Life */

/** What is to be called at the end of something: there is one listener for all, since a client decides
 * how many requests or namespaces share its connection. @type {WeakMap<object, Set<() => void>>} */
const waiting = new WeakMap();

/** Watch a session while its client is there. If the client has left already, as it may while its
 * request is checked, nothing is watched: nothing would ever end the watch.
 * @param {Guard} guard @param {Identity} identity @param {readonly Life[]} lives */
export function watchWhile(guard, identity, lives) {
  const watch = guard.watchIdentity(identity);
  whenOver(lives, watch.cancel);
  return watch;
}

/** Call a function when the first of these is over, or at once if one is.
 * @param {readonly Life[]} lives @param {() => void} call */
export function whenOver(lives, call) {
  if (lives.some(([emitter]) => isOver(emitter))) return call();
  const finish = () => {
    for (const [emitter] of lives) waiting.get(emitter)?.delete(finish);
    call();
  };
  for (const [emitter, event] of lives) callsAt(emitter, event).add(finish);
}

/** @param {any} emitter @param {string} event */
function callsAt(emitter, event) {
  const known = waiting.get(emitter);
  if (known) return known;
  /** @type {Set<() => void>} */
  const calls = new Set();
  waiting.set(emitter, calls);
  emitter.once(event, () => {
    waiting.delete(emitter);
    for (const call of calls) call();
  });
  return calls;
}

/** Whether a response, one of HTTP/2, a connection, or a socket of `ws` or Engine.IO is over: it has told
 * of its end, or is about to. @param {any} emitter */
const isOver = ({ destroyed, closed, stream, readyState }) =>
  destroyed || closed || stream?.destroyed || readyState === "closed" || readyState === WS_CLOSED;

const WS_CLOSED = 3;
