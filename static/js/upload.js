/* Uploading an update package: progress while the bytes leave, the digest as the server computed it when they have arrived.
   Without this module the same form works as an ordinary one. */

import { announce, grouped, say } from "./words.js";

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

function showErrors(form, errors) {
  for (const old of form.querySelectorAll(".error")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  let first = null;
  for (const [name, messages] of Object.entries(errors)) {
    const field = form.querySelector(`[name="${CSS.escape(name)}"]`);
    const place = field?.closest(".field") ?? form.querySelector("[data-form-errors]");
    const line = Object.assign(document.createElement("p"), { className: "error", textContent: messages.join(" ") });
    line.setAttribute("role", "alert");
    place.append(line);
    field?.setAttribute("aria-invalid", "true");
    first ??= field;
  }
  first?.focus();
}

function watch(form, request) {
  const panel = form.querySelector("[data-progress]");
  const bar = panel.querySelector("progress");
  const words = panel.querySelector("[data-progress-words]");
  panel.hidden = false;
  const started = Date.now();
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    bar.max = event.total;
    bar.value = event.loaded;
    const seconds = Math.max(0.5, (Date.now() - started) / 1000);
    const rate = event.loaded / seconds;
    words.textContent = say("uploading", {
      done: megabytes(event.loaded),
      total: megabytes(event.total),
      percent: Math.floor((100 * event.loaded) / event.total),
      left: grouped(Math.ceil((event.total - event.loaded) / rate)),
    });
  });
  request.upload.addEventListener("load", () => {
    words.textContent = say("checking");
  });
  return panel;
}

function finish(form, answer) {
  const done = document.getElementById("uploaded");
  for (const [name, value] of Object.entries(answer)) {
    for (const place of done.querySelectorAll(`[data-fill="${name}"]`)) place.textContent = value;
  }
  for (const link of done.querySelectorAll("a[data-open]")) link.href = answer.url;
  form.hidden = true;
  done.hidden = false;
  done.querySelector("h2").focus();
  announce(say("uploaded"));
}

function send(form) {
  const request = new XMLHttpRequest();
  const button = form.querySelector("[type=submit]");
  const panel = watch(form, request);
  const again = (errors) => {
    panel.hidden = true;
    button.disabled = false;
    showErrors(form, errors);
  };
  request.addEventListener("load", () => {
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      answer = {};
    }
    if (request.status === 201) finish(form, answer);
    else again(answer.errors ?? { "": [answer.detail ?? say("not_done", { status: request.status })] });
  });
  request.addEventListener("error", () => again({ "": [say("not_sent")] }));
  form.querySelector("[data-stop]").addEventListener("click", () => request.abort(), { once: true });
  request.addEventListener("abort", () => again({ "": [say("stopped")] }));
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.send(new FormData(form));
  button.disabled = true;
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-upload]") || event.defaultPrevented) return;
  event.preventDefault();
  send(event.target);
});

/* The drop area names what was chosen. */
document.addEventListener("change", (event) => {
  const area = event.target.closest(".drop");
  if (!area) return;
  const files = [...event.target.files];
  const size = files.reduce((sum, file) => sum + file.size, 0);
  area.querySelector("[data-chosen]").textContent = files.length
    ? `${files.map((file) => file.name).join(", ")} (${megabytes(size)} MB)`
    : area.dataset.empty;
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const area = event.target.closest?.(".drop");
    if (!area) return;
    event.preventDefault();
    area.classList.toggle("over", kind === "dragover");
    if (kind !== "drop") return;
    const input = area.querySelector("input[type=file]");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
