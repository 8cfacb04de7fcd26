/* The keyboard: / search, g then a letter goes, [ ] tabs, 0…7 counts, j k rows, x tick, Enter open, ? this list.
   No single key pauses, launches or cancels. */

const typing = (element) => element.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
let going = 0;

const step = (selector, by) => {
  const links = [...document.querySelectorAll(selector)];
  const here = links.findIndex((link) => link.hasAttribute("aria-current"));
  links[here + by]?.click();
};

function walk(by) {
  const rows = [...document.querySelectorAll("table.tbl tbody tr")];
  if (!rows.length) return;
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(rows.length - 1, Math.max(0, here + by))] ?? rows[0];
  const place = next.querySelector("a[data-drawer]") ?? next.querySelector("a, input:not(:disabled), button") ?? next;
  place.focus();
  next.scrollIntoView({ block: "nearest" });
}

const actions = {
  "/": () => document.querySelector("[data-search]")?.focus(),
  "[": () => step(".tabs a", -1),
  "]": () => step(".tabs a", 1),
  j: () => walk(1),
  k: () => walk(-1),
  x: () => document.activeElement.closest("tr")?.querySelector("input[type=checkbox]:not(:disabled)")?.click(),
  "?": () => document.getElementById("key-help")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog:modal")) return;
  if (Date.now() - going < 1500) {
    going = 0;
    document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
    return;
  }
  if (event.key === "g") {
    going = Date.now();
    return;
  }
  const act = /^[0-7]$/.test(event.key) ? () => document.querySelectorAll(".counts a")[Number(event.key)]?.click() : actions[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

/* Shift-click on a count adds its state to the filter. */
document.addEventListener("click", (event) => {
  const count = event.shiftKey && event.target.closest(".counts a[data-state-name]");
  if (!count) return;
  event.preventDefault();
  const page = new URL(location.href);
  const states = new Set((page.searchParams.get("state") ?? "").split(",").filter(Boolean));
  const { stateName } = count.dataset;
  if (!states.delete(stateName)) states.add(stateName);
  page.searchParams.set("state", [...states].join(","));
  page.searchParams.delete("after");
  location.assign(page);
});

document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
