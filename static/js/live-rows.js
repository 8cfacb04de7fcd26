/* A device update's row and the states in it, redrawn in place from a live frame. A row that no longer fits the filter stays, dimmed. */

import { setMoment } from "./ago.js";

export const looks = JSON.parse(document.getElementById("state-looks")?.textContent ?? "{}");
/** Write a text where it differs. */
export const text = (root, selector, value) => {
  for (const place of root.querySelectorAll(selector)) if (place.textContent !== value) place.textContent = value;
};

/** Icon, colour and words of a state. */
export function drawState(place, look, name, label, detail) {
  place.dataset.state = name;
  place.className = place.className.replace(/k-\w+/, `k-${look.kind}`);
  place.querySelector("use").setAttribute("href", `#i-${look.icon}`);
  text(place, "[data-label]", label);
  text(place, "[data-detail]", detail);
}

/** One device update, where it stands on the page: in its row, in the drawer. */
export function drawTask(task) {
  for (const place of document.querySelectorAll(`[data-task="${CSS.escape(task.id)}"]`)) drawPlace(place, task);
  document.dispatchEvent(new CustomEvent("task-changed", { detail: { id: task.id } }));
}

function drawPlace(row, task) {
  const look = looks.task[task.status];
  const [, label, detail] = task.label.match(/^([^(（]*?)\s*((?:[(（].*)?)$/u);
  const state = row.querySelector("[data-cell=state] [data-state]");
  if (state) drawState(state, look, task.status, label, detail);
  text(row, "[data-note]", task.detail ?? "");
  for (const link of row.querySelectorAll("[data-blocker]")) link.hidden = !task.blocker;
  text(row, "[data-cell=attempt]", task.attempt ?? "");
  const step = row.querySelector("[data-cell=progress]");
  if (step) drawProgress(step, look, task.progress);
  const moment = row.querySelector("[data-cell=when] time");
  if (moment && task.at) setMoment(moment, task.at);
  drawPossible(row, task.status);
}

function drawProgress(cell, look, progress) {
  const bar = cell.querySelector("progress");
  bar.hidden = progress === null || progress === undefined;
  bar.className = `step k-${look.kind}`;
  bar.value = progress ?? 0;
  text(cell, "[data-percent]", bar.hidden ? "" : `${progress} %`);
}

function drawPossible(row, status) {
  const ended = ["SUCCEEDED", "FAILED", "CANCELED"].includes(status);
  row.toggleAttribute("data-open", !ended);
  row.toggleAttribute("data-ended", status === "FAILED" || status === "CANCELED");
  row.toggleAttribute("data-waits", status === "CONFIRM");
  const box = row.querySelector("input[type=checkbox]");
  if (box) box.disabled = ended;
  if (box && ended) box.checked = false;
  const filter = row.closest("[data-filter]")?.dataset.filter;
  row.classList.toggle("gone", Boolean(filter) && !filter.split(",").includes(status));
}
