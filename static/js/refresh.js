/* Parts of a page that live frames do not carry are read again from the server, at most once in two seconds. */

const PAUSE = 2000;
const waiting = new Set();

async function read(address, selector) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return selector ? page.querySelector(selector) : page.body;
}

/** Fill an element with what the server shows at `address` now; with a selector, replace it by that part of the page. */
export function refresh(element, address, selector = "") {
  const key = `${address} ${selector}`;
  if (!element || waiting.has(key)) return;
  waiting.add(key);
  setTimeout(async () => {
    waiting.delete(key);
    const fresh = await read(address, selector).catch(() => null);
    if (!fresh || !element.isConnected) return;
    if (selector) element.replaceWith(fresh);
    else element.replaceChildren(...fresh.childNodes);
    window.htmx?.process(selector ? fresh : element);
    document.dispatchEvent(new CustomEvent("rows-changed"));
  }, PAUSE);
}
