/* Times near now tick: "18 s ago", "3 min ago". Beyond an hour the server's clock form stays. */

import { clockTime, say } from "./words.js";

/** What a time element shows at this moment. */
export function relative(then, now = Date.now()) {
  const seconds = Math.max(0, Math.floor((now - then) / 1000));
  if (seconds < 60) return say("seconds_ago", { count: seconds });
  if (seconds < 3600) return say("minutes_ago", { count: Math.floor(seconds / 60) });
  return null;
}

/** Write a new moment into a `<time data-ago>`. */
export function setMoment(element, iso) {
  const then = new Date(iso);
  element.dateTime = iso;
  element.title = `${then.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  element.textContent = relative(then.getTime()) ?? clockTime(then).slice(0, 5);
}

function tick() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const then = Date.parse(element.dateTime);
    const text = relative(then) ?? (Date.now() - then < 3660000 ? clockTime(new Date(then)).slice(0, 5) : null);
    if (text !== null && element.textContent !== text) element.textContent = text;
  }
}

setInterval(tick, 1000);
