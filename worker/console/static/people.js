/* Local time, and the keyboard. Everything works without it: times are in UTC then, and links do the work. */
"use strict";

/* A time is shown in the reader's zone, with UTC in its tooltip. */
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-zoned])")) {
    const moment = new Date(time.dateTime);
    time.dataset.zoned = "";
    if (Number.isNaN(moment.valueOf())) continue;
    const utc = time.dateTime.replace("T", " ").replace("Z", " UTC");
    if (time.dataset.ago) time.title = `${zoned.format(moment)} · ${utc}`;
    else {
      time.title = utc;
      time.textContent = local.format(moment);
    }
  }
}
localise(document);
new MutationObserver(() => localise(document)).observe(document.body, { childList: true, subtree: true });

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
  if (event.target.closest("input, select, textarea, [contenteditable]")) {
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
  } else if (event.key === "?" && help) {
    if (help.open) help.close();
    else help.showModal();
  }
});
if (location.hash === "#q") document.getElementById("q")?.focus();

/* The preview follows the text. Without this, the button Preview shows it. */
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
