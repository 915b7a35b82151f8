/* The preview follows the text. Without this, the button Preview shows it. */
"use strict";

const writing = document.querySelector("form[data-look]");
const looked = writing && writing.querySelector("[data-looked]");
const LONGEST_LIVE = 200000;
let later = 0;
let asked = 0;

/* What a button asks for takes the chosen files along; what follows the writing is the text alone. */
async function look(then) {
  const data = new FormData(writing);
  const text = data.get("text") || data.get("content") || data.get("description") || "";
  if (!then && (!text.trim() || text.length > LONGEST_LIVE)) return;
  data.set("then", then || "look");
  const chosen = data.getAll("attachment").filter((file) => file.name).map((file) => file.name);
  if (!then && chosen.length) data.set("later", data.get("paths") || JSON.stringify(chosen));
  if (!then) for (const name of ["file", "attachment", "paths"]) data.delete(name);
  asked += 1;
  const mine = asked;
  const answer = await fetch(writing.action, { method: "POST", body: data, headers: { Accept: "text/html" } }).catch(() => null);
  if (mine !== asked || (!then && !(answer && answer.ok))) return;
  if (!answer || answer.redirected) {
    looked.textContent = answer ? "Log in again: reload the page." : "The console can't be reached. Try again.";
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector(answer.ok ? "[data-looked]" : "main .notes[role=alert], .lost");
  if (fresh) looked.replaceChildren(...(answer.ok ? fresh.childNodes : [fresh]));
  const title = writing.querySelector("#title");
  if (then && answer.ok && title && !title.value) title.value = page.querySelector("#title").value;
}

if (looked) {
  writing.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(() => look(), 600);
  });
  writing.addEventListener("click", async (event) => {
    const button = event.target.closest("button[name=then]");
    if (!button || button.value === "submit" || !writing.checkValidity()) return;
    event.preventDefault();
    clearTimeout(later);
    const words = button.textContent;
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-busy", "true");
    await look(button.value);
    button.textContent = words;
    button.removeAttribute("aria-busy");
  });
}
