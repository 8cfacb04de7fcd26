/* Runs before the first paint, so that a dark page never flashes white. The choice is a cookie: light, dark, or none (as the system). */
(() => {
  const chosen = document.cookie.match(/(?:^|; )theme=(light|dark)/)?.[1];
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.bsTheme = chosen ?? system;
})();
