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
localise(document);
new MutationObserver(() => localise(document)).observe(document.body, { childList: true, subtree: true });
