/* Toasts: what just happened. Good news leaves after six seconds, unless the pointer or the focus is on it; errors stay.
   They come from the server's messages (already in the page), from the `toast` event of an htmx answer, or from a module. */

import { say } from "./words.js";

const LIFE = 6000;
const place = () => document.getElementById("messages");

/** Show a sentence; `kind` "bad" stays until it is closed. `action` is {label, href}. */
export function toast(text, { kind = "good", action = null } = {}) {
  const box = document.createElement("div");
  box.className = `toast-x ${kind === "bad" ? "bad" : ""}`;
  box.append(Object.assign(document.createElement("span"), { textContent: text }));
  if (action) box.append(Object.assign(document.createElement("a"), { textContent: action.label, href: action.href }));
  if (kind === "bad") {
    const close = Object.assign(document.createElement("button"), { type: "button", className: "close", textContent: "✕" });
    close.setAttribute("aria-label", say("close"));
    box.append(close);
  }
  place()?.append(box);
  settle(box);
}

function settle(box) {
  if (box.classList.contains("bad")) return;
  const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : box.remove());
  setTimeout(leave, LIFE);
}

document.addEventListener("click", (event) => event.target.closest(".toast-x .close")?.closest(".toast-x").remove());
document.addEventListener("toast", (event) => toast(event.detail.text, event.detail));
document.addEventListener("htmx:sendError", () => toast(say("not_sent"), { kind: "bad" }));

/* A refused request brings its own sentence for this place, or the form again with its errors (422); any other failure does not. */
document.addEventListener("htmx:beforeSwap", (event) => {
  const { status } = event.detail.xhr;
  if (status < 400) return;
  event.detail.shouldSwap = status === 422 || event.detail.xhr.getResponseHeader("HX-Retarget") !== null;
  event.detail.isError = false;
  if (!event.detail.shouldSwap) toast(say("not_done", { status }), { kind: "bad" });
});
for (const box of document.querySelectorAll("#messages .toast-x")) settle(box);
