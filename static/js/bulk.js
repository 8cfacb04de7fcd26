/* Ticking rows: the box in the head ticks the page, the bar at the bottom says how many and what can be done with them.
   Rows whose update has ended cannot be ticked. */

import { openDialog } from "./dialog.js";
import { grouped, say } from "./words.js";

const boxes = (table) => [...table.querySelectorAll("tbody input[type=checkbox]:not(:disabled)")];

function refresh(table) {
  const all = boxes(table);
  const ticked = all.filter((box) => box.checked);
  const head = table.querySelector("thead input[type=checkbox]");
  if (head) {
    head.checked = all.length > 0 && ticked.length === all.length;
    head.indeterminate = ticked.length > 0 && ticked.length < all.length;
  }
  const bar = document.querySelector("[data-bulk]");
  if (!bar) return;
  bar.hidden = ticked.length === 0;
  bar.querySelector("[data-bulk-count]").textContent = say("selected", { count: grouped(ticked.length) });
}

/** After rows came, changed or left. */
export function refreshBulk() {
  const table = document.querySelector("table[data-tickable]");
  if (table) refresh(table);
}

let last = null;
document.addEventListener("click", (event) => {
  const box = event.target.closest("table[data-tickable] input[type=checkbox]");
  if (box) {
    const table = box.closest("table");
    if (box.closest("thead")) for (const other of boxes(table)) other.checked = box.checked;
    else if (event.shiftKey && last && table.contains(last)) tickRange(table, last, box);
    else last = box;
    refresh(table);
    return;
  }
  if (event.target.closest("[data-bulk-clear]")) {
    for (const other of document.querySelectorAll("table[data-tickable] input:checked")) other.checked = false;
    refreshBulk();
    return;
  }
  const go = event.target.closest("[data-bulk-go]");
  if (go) {
    const address = new URL(location.href);
    address.searchParams.set("dialog", go.dataset.bulkGo);
    address.searchParams.delete("task");
    for (const ticked of document.querySelectorAll("table[data-tickable] tbody input:checked")) {
      address.searchParams.append("task", ticked.value);
    }
    openDialog(address.href, go);
  }
});

function tickRange(table, from, to) {
  const all = boxes(table);
  const [a, b] = [all.indexOf(from), all.indexOf(to)].sort((x, y) => x - y);
  for (const box of all.slice(Math.max(0, a), b + 1)) box.checked = to.checked;
}

document.addEventListener("htmx:afterSwap", refreshBulk);
