/* The way back, and the keys. Without this, links do the work. */
"use strict";

/* The way back leads to the list as it was filtered. */
const back = document.querySelector("a.back");
if (back && document.referrer) {
  const from = new URL(document.referrer);
  if (from.origin === location.origin && from.pathname === new URL(back.href).pathname) back.href = from.href;
}

/* Keys, as other consoles have them. */
const PAGES = { o: "/", j: "/jobs", h: "/jobs?state=held", f: "/jobs?state=dead", p: "/publish", w: "/workers", a: "/audit", d: "/settings/destinations" };
const help = document.getElementById("keys");
let leader = 0;

function move(by) {
  const rows = [...document.querySelectorAll("tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  if (rows.length === 0) return;
  const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (help && help.open && event.key !== "?") return;
  if (leader && Date.now() - leader < 1500 && PAGES[event.key]) {
    const link = [...document.querySelectorAll(".menu a")].find((each) => each.getAttribute("href") === PAGES[event.key]);
    if (link || event.key === "f") location.assign(PAGES[event.key]);
    leader = 0;
    return;
  }
  leader = event.key === "g" ? Date.now() : 0;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") {
    const field = document.querySelector("input[type=search]");
    if (field) field.focus();
    else location.assign("/jobs#q");
    event.preventDefault();
  } else if (event.key === "r") {
    const action = document.querySelector("[data-key=r]");
    if (action) action.click();
  } else if (event.key === "x") {
    const row = document.activeElement.closest("tr");
    const box = row && row.querySelector("[form=chosen]");
    if (box) box.click();
  } else if (event.key === "?" && help) {
    if (help.open) help.close();
    else help.showModal();
  }
});
if (location.hash === "#q") document.getElementById("q")?.focus();

/* What can be done with the chosen rows shows while there are any. Without this it always does. */
const chosen = document.getElementById("chosen");

function tellChosen() {
  const boxes = [...document.querySelectorAll("[form=chosen]")];
  const count = boxes.filter((box) => box.checked).length;
  chosen.hidden = count === 0;
  chosen.querySelector("[data-count]").textContent = `${count} chosen`;
  chosen.querySelector("[data-all]").hidden = count === boxes.length;
}

if (chosen) {
  document.addEventListener("change", (event) => {
    if (event.target.matches("[form=chosen]")) tellChosen();
  });
  chosen.querySelector("[data-all]").addEventListener("click", () => {
    for (const box of document.querySelectorAll("[form=chosen]")) box.checked = true;
    tellChosen();
  });
  tellChosen();
}
