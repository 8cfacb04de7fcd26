/* Parts of a page that live frames do not carry are read again from the server, at most once in two seconds; what could not
   be read is tried again, since no frame need come any more. */

const PAUSE = 2000;
const LONGEST_PAUSE = 32000;
const waiting = new Set();

/* Null: somebody else answers at this address now (a sign-in page), so nothing is shown. */
async function read(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (answer.redirected) return null;
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function soon(key, address, put, pause = PAUSE) {
  if (waiting.has(key)) return;
  waiting.add(key);
  setTimeout(async () => {
    waiting.delete(key);
    try {
      const page = await read(address);
      if (page) put(page);
    } catch {
      soon(key, address, put, Math.min(2 * pause, LONGEST_PAUSE));
    }
  }, pause);
}

/** Fill an element with what the server shows at `address` now; with a selector, replace it by that part of the page. */
export function refresh(element, address, selector = "") {
  if (element) soon(`${address} ${selector}`, address, (page) => {
    if (!selector) {
      if (element.isConnected) fill(element, page.body);
      return;
    }
    replace(element, page.querySelector(selector));
    document.dispatchEvent(new CustomEvent("rows-changed"));
  });
}

/** Replace all parts of the page that match, each by the one of the same id, with one request. They hold no rows. */
export function refreshParts(selector, address) {
  soon(`${address} ${selector}`, address, (page) => {
    for (const part of document.querySelectorAll(selector)) replace(part, page.getElementById(part.id));
  });
}

function fill(element, fresh) {
  element.replaceChildren(...fresh.childNodes);
  window.htmx?.process(element);
}

function replace(element, fresh) {
  if (!fresh || !element.isConnected || fresh.isEqualNode(element)) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  window.htmx?.process(fresh);
}
