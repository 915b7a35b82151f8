/* The command palette: Ctrl+K, Cmd+K or its button. Without this, the menu and the pages lead everywhere. */
"use strict";

const palette = document.getElementById("palette");
const opener = document.getElementById("open-palette");
const field = document.getElementById("palette-field");
const list = document.getElementById("palette-list");
const said = document.getElementById("palette-said");
let entries = [];
let at = 0;
let shown = null; // what was typed when the entries came
let newest = 0;
let later = 0;

function option(entry, place) {
  const line = document.createElement("li");
  line.id = `palette-${place}`;
  line.setAttribute("role", "option");
  for (const [name, words] of [["title", entry.title], ["detail", entry.detail], ["of", entry.kind]]) {
    const part = document.createElement("span");
    part.className = `palette-${name}`;
    part.textContent = words;
    line.append(part, " ");
  }
  line.addEventListener("click", () => choose(entry));
  return line;
}

function point(place) {
  at = entries.length ? (place + entries.length) % entries.length : 0;
  [...list.children].forEach((line, number) => line.setAttribute("aria-selected", String(number === at)));
  const line = list.children[at];
  if (line) {
    field.setAttribute("aria-activedescendant", line.id);
    line.scrollIntoView({ block: "nearest" });
  } else field.removeAttribute("aria-activedescendant");
}

/* Answers whether the entries of what is typed now are shown. */
async function ask() {
  clearTimeout(later);
  const typed = field.value.trim();
  if (typed === shown) return true;
  newest += 1;
  const mine = newest;
  const query = new URLSearchParams({ q: typed, at: location.pathname });
  const answer = await fetch(`/palette?${query}`).catch(() => null);
  if (mine !== newest) return false;
  if (!answer || !answer.ok || answer.redirected) {
    said.textContent = answer ? "Log in again: reload the page." : "The console can't be reached.";
    return false;
  }
  ({ entries } = await answer.json());
  if (mine !== newest) return false;
  shown = typed;
  list.replaceChildren(...entries.map(option));
  list.scrollTop = 0;
  field.setAttribute("aria-expanded", String(entries.length > 0));
  said.textContent = entries.length === 1 ? "1 result" : `${entries.length} results`;
  point(0);
  return true;
}

function choose(entry) {
  if (!entry) return;
  palette.close();
  if (!entry.does) {
    location.assign(entry.address);
    return;
  }
  const form = document.createElement("form");
  form.method = "post";
  form.action = entry.address;
  form.append(document.querySelector(".who input[name=csrf]").cloneNode());
  document.body.append(form);
  form.submit();
}

function open() {
  if (palette.open) return;
  field.value = "";
  shown = null;
  entries = [];
  list.replaceChildren();
  palette.showModal();
  field.focus();
  ask();
}

if (palette) {
  opener.hidden = false;
  opener.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (palette.open) palette.close();
    else open();
  });
  field.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(ask, 120);
  });
  field.addEventListener("keydown", async (event) => {
    if (event.isComposing) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      point(at + steps[event.key]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (await ask()) choose(entries[at]);
    }
  });
  palette.addEventListener("click", (event) => {
    if (event.target === palette) palette.close(); // beside it
  });
}
