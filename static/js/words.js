/* The sentences that the browser itself writes, in the page's language: `{% browser_words %}` puts them into the page. */

const element = document.getElementById("browser-words");
const words = element ? JSON.parse(element.textContent) : {};

/** say("seconds_ago", {count: 18}) → "18 s ago" */
export function say(key, values = {}) {
  const pattern = words[key] ?? key;
  return pattern.replace(/%\((\w+)\)[sd]/g, (_, name) => values[name] ?? "");
}

const numbers = new Intl.NumberFormat("en-US");

/** 118402 → "118,402", as the server writes it. */
export const grouped = (value) => numbers.format(value);

/** A share with one decimal, as the server writes it: "10.3 %". */
export const percentOf = (part, whole) => `${whole ? ((100 * part) / whole).toFixed(1) : "0.0"} %`;

/** Time of day, 24 hours, in the operator's zone: "03:07:42". */
export function clockTime(date) {
  const timeZone = document.documentElement.dataset.timeZone || undefined;
  return date.toLocaleTimeString("en-GB", { hour12: false, timeZone });
}

/** One quiet sentence for assistive technology, at most one in ten seconds; what comes between replaces what waits. */
let waiting = null;
let spokenAt = 0;
export function announce(sentence) {
  const region = document.getElementById("announce");
  if (!region) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    spokenAt = Date.now();
    region.textContent = sentence;
  }, Math.max(0, spokenAt + 10000 - Date.now()));
}
