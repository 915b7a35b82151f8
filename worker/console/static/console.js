/* Keeps pages fresh. Everything works without it: links and forms do the work. */
"use strict";

const main = document.getElementById("main");
const pulse = document.querySelector("[data-pulse]");
/* Moments are of the server's clock; how far this machine's is ahead of it, as of when the page came. */
const ahead = Date.now() - Number(document.body.dataset.now);
let pending = false;
let busy = false;
let stream = null;

function tell(state, words) {
  if (!pulse || pulse.dataset.state === state) return;
  pulse.dataset.state = state;
  pulse.textContent = words;
}

/* Somebody who reads, selects or fills in a form is not interrupted. */
function reading() {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && selection.toString().trim()) return true;
  const focus = document.activeElement;
  if (focus && focus.closest("form") && focus.matches("input, select, textarea")) return true;
  return [...document.querySelectorAll("[data-live] input:not([type=hidden])")].some((input) => input.value !== input.defaultValue || input.checked !== input.defaultChecked);
}

/* On a phone the menu and the states scroll sideways: show where we are. */
function showHere(root) {
  for (const nav of root.querySelectorAll(".side nav, .tabs")) {
    const here = nav.querySelector("[aria-current]");
    if (here && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = here.offsetLeft - nav.clientWidth / 2 + here.offsetWidth / 2;
  }
}

function keepOpen(old, fresh) {
  const focus = document.activeElement;
  const mark = focus && old.contains(focus) ? focus.getAttribute("href") || focus.textContent : null;
  old.replaceChildren(...fresh.childNodes);
  showHere(old);
  if (mark === null) return;
  const same = [...old.querySelectorAll("a, button, summary")].find((each) => (each.getAttribute("href") || each.textContent) === mark);
  if (same) same.focus({ preventScroll: true });
}

async function refresh() {
  if (busy) return;
  if (document.hidden || reading()) {
    pending = true;
    if (!document.hidden) tell("paused", "Paused while you read");
    return;
  }
  busy = true;
  pending = false;
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/login") {
      location.reload();
      return;
    }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (reading()) {
      pending = true;
      return;
    }
    for (const old of document.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
      if (next && next.innerHTML !== old.dataset.was) {
        const html = next.innerHTML;
        if (html !== old.innerHTML) keepOpen(old, next);
        old.dataset.was = html;
      }
    }
    tell("live", "Live");
  } catch {
    tell("off", "Offline");
  } finally {
    busy = false;
  }
}

function listen() {
  if (!main || !main.dataset.topic || stream || document.hidden) return;
  stream = new EventSource(`/live?topic=${encodeURIComponent(main.dataset.topic)}`);
  stream.addEventListener("open", () => {
    tell("live", "Live");
    refresh(); // what happened between this page's making and now was in no event
  });
  stream.addEventListener("change", refresh);
  stream.addEventListener("error", () => tell("off", "Reconnecting"));
}

function ago(distance, lasting) {
  const seconds = Math.max(Math.floor(Math.abs(distance) / 1000), lasting ? 1 : 0);
  if (seconds < 1) return "now";
  const [size, unit] = seconds < 120 ? [1, "s"] : seconds < 7200 ? [60, "min"] : seconds < 172800 ? [3600, "h"] : [86400, "d"];
  const words = `${Math.floor(seconds / size)} ${unit}`;
  if (lasting) return words;
  return distance > 0 ? `${words} ago` : `in ${words}`;
}

setInterval(() => {
  const selection = document.getSelection();
  if (document.hidden || (selection && !selection.isCollapsed)) return;
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const words = ago(Date.now() - ahead - Number(time.dataset.ago), "lasting" in time.dataset);
    if (time.textContent !== words) time.textContent = words;
  }
}, 5000);

setInterval(() => {
  if (pending && !document.hidden && !reading()) refresh();
}, 700);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (stream) stream.close();
    stream = null;
  } else {
    listen();
  }
});
window.addEventListener("pagehide", () => {
  if (stream) stream.close();
  stream = null;
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || !button.dataset.busy) return;
  setTimeout(() => {
    button.setAttribute("aria-busy", "true");
    button.textContent = button.dataset.busy;
  });
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-link]");
  if (!button) return;
  const { copy, copyLink } = button.dataset;
  await navigator.clipboard.writeText(copyLink ? new URL(copyLink, location.href).href : document.getElementById(copy).textContent);
  button.textContent = "Copied";
});
for (const button of document.querySelectorAll("[data-copy], [data-copy-link]")) button.hidden = !navigator.clipboard;
for (const each of document.querySelectorAll("[data-hidden-by-script]")) each.hidden = true;

showHere(document);

listen();
