/* Drop a file or a folder: its Markdown fills the text, and the images that it shows come along when it is published.
   Without this, the fields for files do it. */
"use strict";

const form = document.querySelector("form[data-look]");
const text = form && form.querySelector("textarea");
const taken = form && form.querySelector("[data-taken]"); // only where files may come along
const images = form && form.querySelector("#attachment");
const paths = form && form.querySelector("[name=paths]");
const choice = form && form.querySelector("[data-choice]");
const MARKDOWN = /\.(md|markdown)$/i;
const IMAGE = /\.(png|jpe?g|gif|svg|webp|bmp)$/i;
const MOST_LOOKED_AT = 5000;
const LONGEST_TEXT = taken ? Number(taken.dataset.longestText) : 4000000;

function megabytes(size) {
  return size < 100000 ? `${Math.ceil(size / 1000)} kB` : `${(size / 1000000).toFixed(1)} MB`;
}

function tell(lines) {
  if (!taken) return;
  taken.replaceChildren(...lines.map((words) => {
    const line = document.createElement("p");
    line.className = "small quiet";
    line.textContent = words;
    return line;
  }));
}

/* What a text shows by a relative path, each once: images in Markdown, their definitions, and img in HTML. */
function shownBy(markdown) {
  const found = new Set();
  const forms = [/!\[[^\]]*\]\(\s*(?:<([^>\n]+)>|([^)\s]+))/g, /^ {0,3}\[[^\]]+\]:\s*(?:<([^>\n]+)>|(\S+))/gm, /<img\b[^>]*?\ssrc\s*=\s*(?:"([^"]+)"|'([^']+)')/gi];
  forms.forEach((pattern, number) => {
    for (const match of markdown.matchAll(pattern)) {
      const address = match[1] || match[2];
      if (/^([a-z][a-z0-9+.-]*:|\/\/|#)/i.test(address)) continue;
      if (number === 1 && !IMAGE.test(address.split(/[?#]/)[0])) continue; // a definition may be a link's
      found.add(address);
    }
  });
  return [...found];
}

/* A path from the folder that was taken, without `.` and `..`; null where it leads out of it. */
function within(folder, address) {
  let plain = address.split(/[?#]/)[0];
  try {
    plain = decodeURIComponent(plain);
  } catch {
    /* it is meant as written */
  }
  const parts = plain.startsWith("/") ? [] : folder.split("/").filter(Boolean);
  for (const part of plain.split("/")) {
    if (part === "..") {
      if (!parts.length) return null;
      parts.pop();
    } else if (part && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function attach(markdown, path, entries) {
  const chosen = new DataTransfer();
  const names = [];
  const lines = [];
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  let size = 0;
  for (const address of shownBy(markdown)) {
    const place = within(folder, address);
    const entry = entries.find((each) => each.path === place);
    const room = Number(taken.dataset.mostBytes) - size;
    if (place !== null && names.includes(place)) continue;
    if (place === null) lines.push(`Left out: ${address} leads out of the folder.`);
    else if (!entry) lines.push(`Missing: ${address} is not in the folder.`);
    else if (!IMAGE.test(place)) lines.push(`Left out: ${address} is not an image (PNG, JPEG, GIF, SVG, WebP, BMP).`);
    else if (names.length >= Number(taken.dataset.mostFiles)) lines.push(`Left out: ${address}; ${taken.dataset.mostFiles} files may come along.`);
    else if (entry.file.size > room) lines.push(`Left out: ${address} (${megabytes(entry.file.size)}); all files together may have ${megabytes(Number(taken.dataset.mostBytes))}.`);
    else {
      chosen.items.add(entry.file);
      names.push(place);
      size += entry.file.size;
      lines.push(`Comes along: ${address} (${megabytes(entry.file.size)}).`);
    }
  }
  images.files = chosen.files;
  paths.value = JSON.stringify(names);
  return lines;
}

/* A document without its folder: what was chosen by hand stays. */
function alone(markdown) {
  const count = shownBy(markdown).length;
  return count ? [`It shows ${count} of its own files: drop its whole folder, or choose them under “Images that it shows”.`] : [];
}

async function fill(entry, entries) {
  if (entry.file.size > LONGEST_TEXT) return tell([`${entry.path} has ${megabytes(entry.file.size)}; a document may have ${megabytes(LONGEST_TEXT)}.`]);
  text.value = (await entry.file.text()).replace(/^\ufeff/, "");
  if (choice) choice.hidden = true;
  const lines = entries.length > 1 && taken ? attach(text.value, entry.path, entries) : alone(text.value);
  tell([`The text is ${entry.path}. Nothing is published before you say so.`, ...lines]);
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

/* `entries` are files with their paths from the folder that was taken. */
async function take(entries) {
  const documents = entries.filter((entry) => MARKDOWN.test(entry.path));
  const texts = entries.length === 1 && !documents.length ? entries : documents; // a single file is a text, whatever its name
  if (!texts.length) return tell(["There is no Markdown file (.md) in it."]);
  if (texts.length === 1 || !choice) return fill(texts[0], entries);
  const select = choice.querySelector("select");
  select.replaceChildren(...texts.map((entry) => new Option(entry.path)));
  choice.hidden = false;
  choice.querySelector("button").onclick = () => fill(texts[select.selectedIndex], entries);
  select.focus();
  return tell([`There are ${texts.length} Markdown files in it: choose one.`]);
}

async function files(entry, folder, found) {
  if (found.length >= MOST_LOOKED_AT || entry.name.startsWith(".")) return;
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    found.push({ path: folder + entry.name, file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const each of some) await files(each, `${folder}${entry.name}/`, found);
  }
}

/* Without the name of the folder itself, as its document sees them. */
function inside(found) {
  const first = found.length ? found[0].path.split("/")[0] : "";
  const one = found.every((entry) => entry.path.startsWith(`${first}/`));
  return one ? found.map((entry) => ({ ...entry, path: entry.path.slice(first.length + 1) })) : found;
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
  if (!entries.some((entry) => entry && entry.isDirectory)) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const found = [];
  for (const entry of entries.filter(Boolean)) await files(entry, "", found);
  return inside(found);
}

if (form) {
  form.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  form.addEventListener("drop", async (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    if (event.target.matches("input[type=file]")) return; // the field takes it by itself
    event.preventDefault();
    await take(await dropped(event.dataTransfer)).catch(() => tell(["It can't be read."]));
  });
}
if (taken) {
  const folder = form.querySelector("#folder");
  form.querySelector("[data-folder]").hidden = false;
  folder.addEventListener("change", async () => {
    const found = [...folder.files].slice(0, MOST_LOOKED_AT).map((file) => ({ path: file.webkitRelativePath || file.name, file }));
    await take(inside(found).filter((entry) => !/(^|\/)\./.test(entry.path)));
  });
  images.addEventListener("change", () => {
    paths.value = ""; // chosen by hand: each by its own name
    tell([...images.files].map((file) => `Comes along: ${file.name} (${megabytes(file.size)}).`));
  });
}
