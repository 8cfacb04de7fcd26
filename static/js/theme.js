/* The theme choice in the user's menu: as the system, light, dark. */

const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = () => document.cookie.match(/(?:^|; )theme=(light|dark)/)?.[1] ?? "system";

function show() {
  const choice = chosen();
  document.documentElement.dataset.bsTheme = choice === "system" ? (system.matches ? "dark" : "light") : choice;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-checked", String(button.dataset.themeChoice === choice));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-choice]");
  if (!button) return;
  const year = 31536000;
  const { themeChoice } = button.dataset;
  document.cookie = `theme=${themeChoice}; path=/; samesite=lax; max-age=${themeChoice === "system" ? 0 : year}`;
  show();
});
system.addEventListener("change", show);
show();
