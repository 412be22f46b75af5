/** The texts of the elements, in English and German; pages can replace them or add languages. */

/** @typedef {string | {[category: string]: string}} Text plain, or by the plural category
 *   (`one`, `other`, …) of `count`; `{name}` and the like are filled in */
/** @typedef {Record<string, Text>} Texts */

const ENGLISH = {
  logOut: "Log out",
  where: "Where do you want to log out?",
  here: "This device",
  hereHint: "Your other devices stay logged in.",
  others: "The other devices",
  othersHint: "The sessions on {names} will end. You stay logged in here.",
  everywhere: "Everywhere",
  everywhereHint: "The sessions on this device and on {names} will end.",
  otherDevices: "all your other devices",
  alone: "No other device is known to be logged in.",
  more: "{count} more",
  cancel: "Cancel",
  close: "Close",
  busy: "Logging out…",
  doneTitle: "Logged out",

  devices: "Devices where you are logged in",
  thisDevice: "This device",
  unknownDevice: "Unknown device",
  browserOn: "{browser} on {system}",
  online: "Online now",
  lastSeen: "Last seen {time}",
  since: "Logged in {time}",
  endOthers: "Log out all other devices",
  confirmOne: "Log out {name}?",
  confirmOneHint: "The session there ends at once. What was not saved may be lost.",
  confirmOwnHint: "This is the device you are using: you will have to log in again.",
  confirmOthers: "Log out all other devices?",
  loading: "Loading…",
  stale: "The server cannot be reached. The list may be out of date until it is back.",
  retry: "Try again",
  arrived: "{name} has logged in.",
  left: "{name} is no longer logged in.",

  done: { one: "{count} device is logged out.", other: "{count} devices are logged out." },
  doneAlone: "No other device was logged in.",
  acknowledged: "Confirmed and cleared: {names}",
  uncleared: "Confirmed, but not everything could be cleared: {names}",
  telling: "Being told: {names}",
  notified: "Told, but not confirmed: {names}",
  cut: "Cut off, without an answer: {names}",
  offline: "Not connected; turned away on return: {names}",
  ended: "You are logged out on this device.",
  pending: "There is no connection now. The rest is done as soon as it is back.",
  loginAgain: "Log in again",

  unavailable: "The server cannot be reached, so this may not have worked. Please try again.",
  rate_limited: "That was too much at once. Please wait a moment and try again.",
  not_found: "That device is logged out already.",
  token_missing: "You are not logged in here.",
  refused: "The server refused this. Please reload the page, or log in again.",
};

/** @type {{[key in keyof typeof ENGLISH]: Text}} */
const GERMAN = {
  logOut: "Abmelden",
  where: "Wo möchten Sie sich abmelden?",
  here: "Dieses Gerät",
  hereHint: "Ihre anderen Geräte bleiben angemeldet.",
  others: "Die anderen Geräte",
  othersHint: "Die Sitzungen auf {names} enden. Hier bleiben Sie angemeldet.",
  everywhere: "Überall",
  everywhereHint: "Die Sitzungen auf diesem Gerät und auf {names} enden.",
  otherDevices: "allen Ihren anderen Geräten",
  alone: "Kein anderes angemeldetes Gerät ist bekannt.",
  more: "{count} weiteren",
  cancel: "Abbrechen",
  close: "Schließen",
  busy: "Wird abgemeldet …",
  doneTitle: "Abgemeldet",

  devices: "Geräte, auf denen Sie angemeldet sind",
  thisDevice: "Dieses Gerät",
  unknownDevice: "Unbekanntes Gerät",
  browserOn: "{browser} unter {system}",
  online: "Jetzt online",
  lastSeen: "Zuletzt gesehen: {time}",
  since: "Angemeldet: {time}",
  endOthers: "Alle anderen Geräte abmelden",
  confirmOne: "{name} abmelden?",
  confirmOneHint: "Die Sitzung dort endet sofort. Nicht Gespeichertes kann verloren gehen.",
  confirmOwnHint: "Das ist das Gerät, das Sie benutzen: Sie müssen sich neu anmelden.",
  confirmOthers: "Alle anderen Geräte abmelden?",
  loading: "Wird geladen …",
  stale: "Der Server ist nicht erreichbar. Bis er es wieder ist, kann die Liste veraltet sein.",
  retry: "Noch einmal versuchen",
  arrived: "{name} hat sich angemeldet.",
  left: "{name} ist nicht mehr angemeldet.",

  done: { one: "{count} Gerät ist abgemeldet.", other: "{count} Geräte sind abgemeldet." },
  doneAlone: "Kein anderes Gerät war angemeldet.",
  acknowledged: "Bestätigt, Daten dort gelöscht: {names}",
  uncleared: "Bestätigt, aber nicht alles ließ sich löschen: {names}",
  telling: "Wird benachrichtigt: {names}",
  notified: "Benachrichtigt, aber ohne Bestätigung: {names}",
  cut: "Getrennt, ohne Antwort: {names}",
  offline: "Nicht verbunden; wird bei der Rückkehr abgewiesen: {names}",
  ended: "Sie sind auf diesem Gerät abgemeldet.",
  pending: "Gerade besteht keine Verbindung. Der Rest wird erledigt, sobald sie wieder da ist.",
  loginAgain: "Neu anmelden",

  unavailable:
    "Der Server ist nicht erreichbar; vielleicht hat es nicht geklappt. Bitte noch einmal versuchen.",
  rate_limited: "Das war zu viel auf einmal. Bitte kurz warten und noch einmal versuchen.",
  not_found: "Dieses Gerät ist schon abgemeldet.",
  token_missing: "Sie sind hier nicht angemeldet.",
  refused: "Der Server hat das abgelehnt. Bitte die Seite neu laden oder neu anmelden.",
};

/** @type {Map<string, Texts>} */
const languages = new Map([
  ["en", ENGLISH],
  ["de", GERMAN],
]);

/** Notifies the elements of a page that texts have changed. */
export const wordings = new EventTarget();

/** Replaces texts of a language, or adds a language; omitted texts stay, or are English.
 * @param {string} lang a language tag, such as `fr` or `de-CH` @param {Texts} texts */
export function setTexts(lang, texts) {
  const [tag] = Intl.getCanonicalLocales(lang);
  const key = tag.toLowerCase();
  languages.set(key, { ...languages.get(key), ...texts });
  wordings.dispatchEvent(new Event("change"));
}

/** @typedef {{lang: string, texts: Texts}} Words */

/** @param {string} wanted a language tag, as of an attribute `lang`
 * @returns {Words} the nearest language that there is, and its texts */
export function textsFor(wanted) {
  const tags = wanted.toLowerCase().split("-");
  const known = tags
    .map((_, index) => tags.slice(0, index + 1).join("-"))
    .filter((tag) => languages.has(tag));
  return {
    lang: known.at(-1) ?? "en",
    texts: Object.assign({}, ENGLISH, ...known.map((tag) => languages.get(tag))),
  };
}

/** @template T @param {string} lang @param {Text} text @param {Record<string, any>} values
 * @param {(value: any) => T} wrap
 * @returns {(string | T)[]} the text in pieces, with the values, wrapped, in their places */
export function fill(lang, text, values, wrap) {
  const category = new Intl.PluralRules(lang).select(Number(values.count ?? 0));
  const words = typeof text === "string" ? text : (text[category] ?? text.other);
  return words.split(/\{(\w+)\}/).map((piece, i) => (i % 2 ? wrap(values[piece]) : piece));
}
