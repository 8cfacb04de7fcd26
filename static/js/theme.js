/* The theme choice in the user's menu: as the system, light, dark. */

const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = () =>
  document.cookie.match(/(?:^|; )theme=(light|dark|system)/)?.[1] ?? document.documentElement.dataset.theme ?? "system";

function show() {
  const choice = chosen();
  document.documentElement.dataset.bsTheme = choice === "system" ? (system.matches ? "dark" : "light") : choice;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-checked", String(button.dataset.themeChoice === choice));
  }
}

/* With the account too, so that it holds on another machine; the page does not wait for it. */
function keep(address, theme) {
  if (!address) return;
  const token = JSON.parse(document.body.getAttribute("hx-headers") ?? "{}")["X-CSRFToken"];
  fetch(address, { method: "POST", body: new URLSearchParams({ theme }), headers: { "X-CSRFToken": token } }).catch(() => {});
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-choice]");
  if (!button) return;
  const year = 31536000;
  const { themeChoice } = button.dataset;
  document.cookie = `theme=${themeChoice}; path=/; samesite=lax; max-age=${year}`;
  show();
  keep(button.closest("[data-theme-address]")?.dataset.themeAddress, themeChoice);
});
system.addEventListener("change", show);
show();
