/* Forms that show only what the choices above them need, and buttons that repeat the number they will send. */

/** `data-if="name=value other"`: shown while the field has one of these values. Hidden fields are not sent. */
function settle(form) {
  for (const part of form.querySelectorAll("[data-if]")) {
    const [name, values] = part.dataset.if.split("=");
    const field = form.elements[name];
    const value = field instanceof RadioNodeList ? field.value : field?.type === "checkbox" ? (field.checked ? "on" : "") : field?.value;
    const shown = values.split(" ").includes(value ?? "");
    part.hidden = !shown;
    if (part.matches("fieldset")) part.disabled = !shown;
  }
  settleVersions(form);
  for (const place of form.querySelectorAll("[data-repeat]")) {
    const value = form.elements[place.dataset.repeat]?.value;
    place.textContent = value ? Number(value).toLocaleString("en-US") : place.dataset.none ?? "";
  }
}

/* Versions, and with them retries, belong to some scopes only (seed); the form says so before the server does. */
function settleVersions(form) {
  const part = form.querySelector("[data-if-versions]");
  if (!part) return;
  const value = (name) => form.elements[name]?.value;
  const takes = value("selection") === "1" ? value("dynamic_by") !== "group" : ["0", "2"].includes(value("target"));
  part.hidden = !takes;
  part.disabled = !takes;
  const can = takes && part.querySelector("input:checked") !== null;
  form.querySelector("[data-retry]").disabled = !can;
  form.querySelector("[data-no-retry]").hidden = can;
}

function settleAll(root = document) {
  for (const form of root.querySelectorAll("form[data-settle]")) settle(form);
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.matches("[data-settle]")) settle(form);
});
document.addEventListener("htmx:afterSwap", () => settleAll());

/* A filter is applied when it is chosen; the page number starts again. */
document.addEventListener("change", (event) => {
  if (event.target.matches("form[data-filters] select")) event.target.form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-filters]")) return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});

/* A form that starts work is sent once. */
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!event.target.matches("form[data-once]") || event.defaultPrevented || !button) return;
  setTimeout(() => {
    button.disabled = true;
    if (button.dataset.busy) button.textContent = button.dataset.busy;
  });
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("form[data-once] button[disabled]")) button.disabled = false;
});

settleAll();
