/* Runs before the first paint, so that a dark page never flashes white. The choice stands in a cookie, else with the account. */
(() => {
  const root = document.documentElement;
  const chosen = document.cookie.match(/(?:^|; )theme=(light|dark|system)/)?.[1] ?? root.dataset.theme;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.bsTheme = chosen === "light" || chosen === "dark" ? chosen : system;
})();
