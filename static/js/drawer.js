/* The drawer of one device update: beside the list, never over it. It comes from the server, its address shows the same
   drawer to whoever opens it, Escape closes it and gives the focus back. While it is open its parts are read again when
   its device update changes: in place, so that scroll and focus stay. */

import { refreshParts } from "./refresh.js";

const AGAIN = 30000;
const slot = () => document.getElementById("drawer");
const drawer = () => slot()?.querySelector("aside");
let opener = null;

function addressOf(device) {
  const page = new URL(location.href);
  for (const name of ["dialog", "task", "device"]) page.searchParams.delete(name);
  if (device) page.searchParams.set("device", device);
  return page;
}

function open(device, source) {
  opener = source;
  const address = addressOf(device);
  history.replaceState(history.state, "", address);
  window.htmx.ajax("GET", address.href, { target: "#drawer", swap: "innerHTML", source: slot() });
}

/* Rows may have been drawn again since: the focus goes to the link of the same device. */
function close() {
  const { device } = drawer().dataset;
  slot().replaceChildren();
  history.replaceState(history.state, "", addressOf(""));
  mark();
  const link = document.querySelector(`a[data-drawer="${CSS.escape(device)}"]`);
  (opener?.isConnected ? opener : link)?.focus();
}

function mark() {
  const shown = drawer()?.dataset.task;
  for (const row of document.querySelectorAll("tr[data-task]")) row.classList.toggle("shown", row.dataset.task === shown);
}

function step(by) {
  const rows = [...document.querySelectorAll("tr[data-task]")];
  const here = rows.findIndex((row) => row.dataset.task === drawer().dataset.task);
  const link = rows[here + by]?.querySelector("a[data-drawer]");
  if (!link) return;
  link.scrollIntoView({ block: "nearest" });
  open(link.dataset.drawer, link);
}

document.addEventListener("click", (event) => {
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  const link = event.target.closest("a[data-drawer]");
  if (link && plain && slot() && window.htmx) {
    event.preventDefault();
    open(link.dataset.drawer, link);
  } else if (event.target.closest("[data-drawer-close]") && plain) {
    event.preventDefault();
    close();
  } else if (event.target.closest("[data-drawer-step]")) {
    step(Number(event.target.closest("[data-drawer-step]").dataset.drawerStep));
  }
});

document.addEventListener("keydown", (event) => {
  if (!drawer() || document.querySelector("dialog:modal, :popover-open")) return;
  if (event.key === "Escape") close();
  const walks = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!walks || !event.target.closest("#drawer .drawer-h, tr[data-task]")) return;
  event.preventDefault();
  step(walks);
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "drawer") return;
  mark();
  slot().querySelector("#drawer-title")?.focus({ preventScroll: true });
});

const readAgain = () => drawer()?.dataset.task && refreshParts("[data-drawer-part]", location.href);
document.addEventListener("task-changed", (event) => {
  if (event.detail.id !== drawer()?.dataset.task) return;
  const focused = document.activeElement;
  if (slot().contains(focused) && !focused.checkVisibility()) slot().querySelector("#drawer-title").focus({ preventScroll: true });
  readAgain();
});
setInterval(() => !document.hidden && readAgain(), AGAIN);
mark();
