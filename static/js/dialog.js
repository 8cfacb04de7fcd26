/* Dialogs come from the server: the link's address shows the same dialog to whoever opens it. Here they become modal, and the
   address becomes the page's own again when they close. The browser gives the focus back to what opened them; the `autofocus`
   of a destructive dialog is on the harmless button. */

const slot = () => document.getElementById("dialog");

function show() {
  const dialog = slot()?.querySelector("dialog");
  if (!dialog || dialog.matches(":modal")) return;
  dialog.removeAttribute("open");
  dialog.addEventListener("close", () => left(dialog), { once: true });
  dialog.showModal();
}

function left(dialog) {
  const page = new URL(location.href);
  for (const name of ["dialog", "task"]) page.searchParams.delete(name);
  history.replaceState(history.state, "", page);
  dialog.remove();
}

/** Fetch the dialog at this address and show it. */
export function openDialog(href, source = document.body) {
  const address = new URL(href, location.href);
  if (address.pathname === location.pathname) history.replaceState(history.state, "", address);
  return window.htmx.ajax("GET", href, { target: "#dialog", swap: "innerHTML", source, headers: { "X-Fragment": "dialog" } });
}

document.addEventListener("click", (event) => {
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  const opener = event.target.closest("a[data-dialog]");
  if (opener && plain && window.htmx) {
    event.preventDefault();
    openDialog(opener.href, opener);
    return;
  }
  const closer = event.target.closest("dialog [data-close]");
  if (closer || event.target.matches?.("dialog.dlg")) {
    event.preventDefault();
    event.target.closest("dialog").close();
  }
});

/* A button that repeats the number it will send: `<b data-repeat="field">`. Rows of tags are added and removed. */
document.addEventListener("click", (event) => {
  const row = event.target.closest("[data-remove-row]")?.closest(".tag-row");
  if (row) {
    const rows = row.parentElement;
    row.remove();
    count(rows);
    rows.querySelector(".tag-row:last-child input")?.focus();
    return;
  }
  const adder = event.target.closest("[data-add-row]");
  if (!adder) return;
  const rows = document.getElementById(adder.dataset.addRow);
  if (rows.children.length >= Number(rows.dataset.most)) return;
  rows.append(document.getElementById(`${rows.id}-empty`).content.cloneNode(true));
  rows.querySelector(".tag-row:last-child input").focus();
  count(rows);
});

function count(rows) {
  for (const place of document.querySelectorAll(`[data-count-of="${rows.id}"]`)) place.textContent = rows.children.length;
}

document.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "dialog" && show());
show();
