/* The preview follows the text. Without this, the button Preview shows it. */
"use strict";

const writing = document.querySelector("form[data-look]");
const looked = writing && writing.querySelector("[data-looked]");
const LONGEST_LIVE = 200000;
let later = 0;
let asked = 0;

async function look() {
  const data = new FormData(writing);
  const text = data.get("text") || data.get("content") || data.get("description") || "";
  if (!text.trim() || text.length > LONGEST_LIVE) return;
  data.set("then", "look");
  data.delete("file");
  asked += 1;
  const mine = asked;
  const answer = await fetch(writing.action, { method: "POST", body: data, headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer || !answer.ok || mine !== asked) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-looked]");
  if (fresh) looked.replaceChildren(...fresh.childNodes);
}

if (looked) {
  writing.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(look, 600);
  });
  const area = writing.querySelector("textarea");
  area.addEventListener("drop", async (event) => {
    const file = event.dataTransfer.files[0];
    if (!file || file.size > 4000000) return;
    event.preventDefault();
    area.value = await file.text();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
