/* Copy buttons: `<button data-copy="text">`. */

import { toast } from "./toast.js";
import { say } from "./words.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast(say("copied", { text: button.dataset.copy }));
  } catch {
    toast(say("not_copied"), { kind: "bad" });
  }
});
