/* Frames become numbers, bars and cells, in place. Rows never come, leave or move: a row that no longer fits the filter stays,
   dimmed, and what changed beyond the loaded rows is offered as a link. */

import { refreshBulk } from "./bulk.js";
import { drawState, drawTask, looks, text } from "./live-rows.js";
import { refresh, refreshParts } from "./refresh.js";
import { announce, grouped, percentOf, say } from "./words.js";

/** The public ids of the tasks that stand on the page, in rows and in the drawer. */
export function shownTasks() {
  const places = [...document.querySelectorAll("aside[data-task]"), ...document.querySelectorAll("tr[data-task]")];
  return [...new Set(places.map((place) => place.dataset.task))].slice(0, 1000);
}

/** Draw one frame of any type. */
export function draw(frame) {
  if (frame.type === "batch") drawBatch(frame);
  else if (frame.type === "package") drawPackage(frame);
}

function drawPackage(frame) {
  for (const scope of document.querySelectorAll(`[data-package="${CSS.escape(frame.package)}"]`)) {
    if (frame.counts) drawCounts(scope, frame.counts);
    drawPackageState(scope, frame.state);
  }
  for (const batch of frame.batches ?? []) drawBatch(batch);
}

/* What may be done with a package follows from its status: the whole part is read again. */
function drawPackageState(scope, name) {
  const place = scope.matches("[data-package-state]") ? scope : scope.querySelector("[data-package-state]");
  const isCounting = name === "VERIFYING" && place?.matches("tr");
  if (!name || !place || (place.dataset.packageState === name && !isCounting)) return;
  place.dataset.packageState = name;
  refresh(place, location.href, `#${CSS.escape(place.id)}`);
}

function drawBatch(frame) {
  for (const scope of document.querySelectorAll(`[data-batch="${CSS.escape(frame.batch)}"]`)) {
    if (scope.dataset.drawn && Number(scope.dataset.drawn) > frame.revision) continue;
    scope.dataset.drawn = frame.revision;
    drawCounts(scope, frame.counts);
    scope.toggleAttribute("data-reupgradable", frame.reupgradable);
    drawStatus(scope, frame);
    drawWork(scope, frame);
    drawRate(scope, frame.rate_now);
    drawEdited(scope, frame);
  }
  for (const task of frame.tasks ?? []) drawTask(task);
  if (frame.tasks?.length) refreshBulk();
}

/* The three forms of To Be Pushed: a start that is to come says Scheduled for all of them. */
function withForms(counts) {
  const scheduled = counts.QUEUED_SCHEDULED ?? 0;
  const offline = scheduled ? 0 : (counts.QUEUED_OFFLINE ?? 0);
  return { ...counts, QUEUED_OFFLINE: offline, QUEUED_PLAIN: counts.QUEUED - offline - scheduled };
}

function drawCounts(scope, given) {
  const counts = withForms(given);
  for (const place of scope.querySelectorAll("[data-count]")) {
    const value = place.dataset.count.split("+").reduce((sum, name) => sum + (counts[name] ?? 0), 0);
    const written = grouped(value);
    if (place.textContent !== written) place.textContent = written;
    place.closest("[data-zeroes]")?.toggleAttribute("data-zero", value === 0);
  }
  for (const place of scope.querySelectorAll("[data-share]")) {
    place.textContent = percentOf(counts[place.dataset.share] ?? 0, counts.all);
  }
  for (const bar of scope.querySelectorAll("[data-bar]")) drawBar(bar, counts);
  if (scope.hasAttribute("data-announce")) {
    announce(say("announce", { updated: grouped(counts.SUCCEEDED), failed: grouped(counts.FAILED) }));
    offerRefresh(counts);
    drawFailures(counts.FAILED);
    fillEmptyList(counts.all);
  }
}

/* Heading and lines come together, and say themselves of how many failures they are. */
function drawFailures(failed) {
  const panel = document.querySelector("[data-failures]");
  if (!panel || Number(panel.querySelector("[data-failed]")?.dataset.failed) === failed) return;
  refresh(panel, panel.dataset.failures);
}

/* Where no row stands yet, nothing can move under the pointer: the first rows come by themselves. */
function fillEmptyList(count) {
  const list = document.querySelector("#task-list[data-empty]");
  if (list && count) refresh(list, location.href, "#task-list");
}

function drawBar(bar, counts) {
  const said = [];
  for (const segment of bar.children) {
    const count = counts[segment.dataset.seg] ?? 0;
    segment.toggleAttribute("hidden", count === 0);
    segment.setAttribute("width", `${(100 * count) / Math.max(1, counts.all)}%`);
    if (count) said.push(`${looks.task[segment.dataset.seg].label} ${grouped(count)}`);
  }
  bar.setAttribute("aria-label", said.join(", ") || say("no_devices"));
}

function drawStatus(scope, frame) {
  const name = frame.paused && frame.status === "IN_PROGRESS" ? "PAUSED" : frame.status;
  for (const place of scope.querySelectorAll("[data-batch-state] [data-state]")) {
    if (place.dataset.state === name) continue;
    drawState(place, looks.batch[name], name, looks.batch[name].label, "");
    scope.dispatchEvent(new CustomEvent("batch-state", { bubbles: true, detail: { name } }));
  }
  if (!scope.dataset.status || scope.dataset.status === name) return;
  for (const part of scope.querySelectorAll("[data-while]")) part.hidden = !part.dataset.while.split(" ").includes(name);
  scope.dataset.status = name;
}

function drawWork(scope, frame) {
  const { launch, cancel } = frame;
  for (const part of scope.querySelectorAll("[data-launching]")) {
    part.hidden = launch?.state !== "writing";
    text(part, "[data-work]", say("launching", { done: grouped(launch?.written ?? 0), total: grouped(launch?.total ?? 0) }));
  }
  for (const part of scope.querySelectorAll("[data-canceling]")) {
    part.hidden = !cancel?.requested;
    text(part, "[data-work]", say("canceling", { done: grouped(cancel?.done ?? 0) }));
  }
}

/* The rate of a variable batch grows with its counts. */
function drawRate(scope, rate) {
  for (const place of scope.querySelectorAll("[data-rate-now]")) place.textContent = grouped(rate ?? 0);
}

/* Somebody changed the batch itself: the parts that frames do not carry are read again. */
function drawEdited(scope, frame) {
  const known = scope.dataset.updatedAt;
  if (!known || known === frame.updated_at) return;
  scope.dataset.updatedAt = frame.updated_at;
  refreshParts("[data-edited]", location.href);
}

/* How many devices of the shown states there were when the list was made, and how many there are now. */
function offerRefresh(counts) {
  const chip = document.querySelector("[data-newer]");
  if (!chip) return;
  const now = chip.dataset.newer.split("+").reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  const gained = now - Number(chip.dataset.then);
  chip.hidden = gained <= 0;
  text(chip, "[data-newer-words]", say("newer", { count: grouped(gained) }));
}
