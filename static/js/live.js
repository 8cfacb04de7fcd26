/* The live connection: says what the page shows, receives frames, draws at most four times a second. When it is lost it says
   so quietly after five seconds, tries again with growing pauses, and catches up: the server answers a watch with everything
   that is newer than the revision named in it. */

import { draw, shownTasks } from "./live-draw.js";
import { clockTime, say } from "./words.js";

const DRAW_EVERY = 250;
const LOST_AFTER = 5000;
const PAUSES = [500, 1000, 2000, 4000, 8000, 15000];
const SILENCE = 45000;
const SIGNED_OUT = 4401;

const watched = document.querySelector("[data-watch]");
let socket = null;
let failures = 0;
let revision = Number(watched?.dataset.revision ?? 0);
let countsFrom = watched?.dataset.at ? new Date(watched.dataset.at) : new Date();
let lostSince = null;
let heardAt = 0;
let pending = new Map();
let drawing = null;

function watch() {
  const { watch: kind, watchId: id } = watched.dataset;
  if (kind === "batch") return { batch: id, tasks: shownTasks(), revision };
  return kind === "package" ? { package: id } : { [kind]: true };
}

/** Tell the server what the page shows now; also after rows were added. */
function tell() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ watch: watch() }));
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/ws/live/`);
  socket.addEventListener("open", () => {
    heardAt = Date.now();
    tell();
  });
  socket.addEventListener("message", receive);
  socket.addEventListener("close", (event) => {
    if (event.code === SIGNED_OUT) {
      location.reload();
      return;
    }
    lostSince ??= Date.now();
    const pause = PAUSES[Math.min(failures, PAUSES.length - 1)];
    failures += 1;
    setTimeout(connect, pause * (0.75 + Math.random() / 2));
  });
}

function receive(event) {
  let frame = null;
  try {
    frame = JSON.parse(event.data);
  } catch {
    return;
  }
  failures = 0;
  lostSince = null;
  heardAt = Date.now();
  keep(frame);
  drawing ??= setTimeout(flush, DRAW_EVERY);
}

/* Frames that come between two drawings are joined: newest numbers, newest state of every task. */
function keep(frame) {
  const key = `${frame.type}:${frame.batch ?? frame.package ?? ""}`;
  const older = pending.get(key);
  if (older?.revision > frame.revision) return;
  const tasks = new Map([...(older?.tasks ?? []), ...(frame.tasks ?? [])].map((task) => [task.id, task]));
  pending.set(key, { ...frame, tasks: [...tasks.values()] });
}

function flush() {
  const frames = pending;
  pending = new Map();
  drawing = null;
  for (const frame of frames.values()) {
    if (frame.batch === watched.dataset.watchId && frame.revision) revision = Math.max(revision, frame.revision);
    if (frame.at) countsFrom = new Date(frame.at);
    draw(frame);
    if (frame.more) tell();
  }
  showConnection();
}

function showConnection() {
  const lost = lostSince !== null && Date.now() - lostSince > LOST_AFTER;
  for (const mark of document.querySelectorAll("[data-live]")) mark.dataset.live = lost ? "off" : "on";
  for (const place of document.querySelectorAll("[data-live-at]")) {
    place.textContent = say("counts_as_of", { time: clockTime(countsFrom) });
  }
  const notice = document.getElementById("live-lost");
  if (!notice) return;
  if (lost) notice.querySelector("[data-lost-words]").textContent = say("counts_are_from", { time: clockTime(countsFrom) });
  notice.hidden = !lost;
}

if (watched && "WebSocket" in window) {
  connect();
  setInterval(() => {
    showConnection();
    const stuck = socket?.readyState === WebSocket.OPEN && Date.now() - heardAt > SILENCE;
    if (stuck) tell();
    if (stuck && Date.now() - heardAt > 2 * SILENCE) socket.close();
  }, 1000);
  document.addEventListener("htmx:afterSwap", tell);
  document.addEventListener("rows-changed", tell);
  document.addEventListener("visibilitychange", () => !document.hidden && tell());
}
