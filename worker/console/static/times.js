/* A time is shown in the reader's zone, with UTC in its tooltip. Without this it is in UTC. */
"use strict";

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

/* Addresses hold UTC, or a day with its zone; people read and give both in theirs. */
const two = (number) => String(Math.trunc(number)).padStart(2, "0");

function minute(moment) {
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

function withZone(day) {
  const east = -new Date(`${day}T00:00`).getTimezoneOffset();
  return `${day}${east < 0 ? "-" : "+"}${two(Math.abs(east) / 60)}:${two(Math.abs(east) % 60)}`;
}

for (const field of document.querySelectorAll("input[data-utc]")) {
  const isDay = field.type === "date";
  const held = field.getAttribute("value");
  if (held && !isDay) {
    const moment = new Date(/Z$|[+-]\d\d:\d\d$/.test(held) ? held : `${held}Z`);
    if (!Number.isNaN(moment.valueOf())) field.value = field.defaultValue = minute(moment);
  }
  for (const label of field.labels) {
    label.removeAttribute("title");
    for (const zone of label.querySelectorAll(".zone")) zone.remove();
  }
  field.form.addEventListener("formdata", ({ formData }) => {
    if (!field.value) return;
    formData.set(field.name, isDay ? withZone(field.value) : new Date(field.value).toISOString().slice(0, 16));
  });
}
localise(document);
new MutationObserver(() => localise(document)).observe(document.body, { childList: true, subtree: true });
