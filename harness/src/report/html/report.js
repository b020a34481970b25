"use strict";
// Opens runs, draws their timelines, and lights up what a check rests on.

const SVG = "http://www.w3.org/2000/svg";
const SHOWN_AT_FIRST = 100;
const NAMES = {
  "gym-scene": "GymScene", "other-scene": "other scene", opening: "connecting", open: "up",
  lost: "lost", closed: "closed", overlay: "overlay", cover: "covers the page",
  natural: "sent by itself", injected: "injected", synthetic: "synthetic", held: "held back",
  rule: "fault rule", departure: "departure", harness: "looked at", error: "error",
};

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function shape(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(2)} s`;

async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed.trim()), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

/** A run's lanes on one clock. */
class Timeline {
  constructor(place, data, failure) {
    this.place = place;
    this.data = data;
    this.failure = failure;
    this.lit = null;
    this.from = -data.end * 0.01;
    this.to = data.end * 1.01;
    this.departures = data.lanes.flatMap((lane) => lane.rows.flatMap((row) =>
      (row.marks || []).filter((mark) => mark.style === "departure").map((mark) => mark.at)));
    this.build();
    new ResizeObserver(() => this.draw()).observe(place);
  }

  build() {
    const tools = element("div", { class: "tools" });
    const button = (text, title, act) => {
      const made = element("button", { type: "button", title }, text);
      made.addEventListener("click", act);
      tools.append(made);
    };
    button("All", "the whole run", () => this.show(0, this.data.end));
    button("+", "closer", () => this.zoom(0.5));
    button("−", "further away", () => this.zoom(2));
    button("←", "earlier", () => this.move(-0.4));
    button("→", "later", () => this.move(0.4));
    if (this.failure !== null) {
      button("Failure", "where it went wrong",
        () => this.show(this.failure - 1500, this.failure + 1500));
    }
    if (this.departures.length) {
      const first = Math.min(...this.departures), last = Math.max(...this.departures);
      button("Departure", "where a player went away", () => this.show(first - 1000, last + 1000));
    }
    button("Nothing lit", "light up nothing", () => {
      this.light(null, null);
      this.place.dispatchEvent(new Event("unlit"));
    });
    this.range = element("span", { class: "range" });
    tools.append(this.range);
    this.svg = shape("svg", { role: "img", "aria-label": "timeline of the run", tabindex: "0" });
    this.evidence = element("div", { class: "evidence" });
    this.place.replaceChildren(tools, this.svg, this.evidence, this.legend());
    this.listen();
    this.show(0, this.data.end);
  }

  legend() {
    const used = new Set(this.data.lanes.flatMap((lane) => lane.rows.flatMap((row) =>
      [...(row.bars || []), ...(row.marks || [])].map((one) => one.style))));
    const legend = element("div", { class: "legend" });
    for (const [style, name] of Object.entries(NAMES)) {
      if (!used.has(style)) continue;
      const entry = element("span");
      const colour = { "gym-scene": "gym", "other-scene": "scene", closed: "ink", error: "fail" };
      entry.append(element("i", { style: `background: var(--${colour[style] || style})` }), name);
      legend.append(entry);
    }
    return legend;
  }

  listen() {
    let dragged = null;
    this.svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      event.preventDefault();
      const by = event.deltaY || event.deltaX;
      if (event.shiftKey) this.move(by > 0 ? 0.1 : -0.1);
      else this.zoom(by > 0 ? 1.25 : 0.8, this.time(event.offsetX));
    }, { passive: false });
    this.svg.addEventListener("pointerdown", (event) => {
      dragged = { x: event.clientX, from: this.from, to: this.to };
    });
    window.addEventListener("pointerup", () => { dragged = null; });
    this.svg.addEventListener("pointermove", (event) => {
      if (dragged && event.buttons) {
        const by = (event.clientX - dragged.x) / this.width * (dragged.to - dragged.from);
        this.show(dragged.from - by, dragged.to - by);
      } else {
        tip.of(event, event.target.item);
      }
    });
    this.svg.addEventListener("pointerleave", () => tip.hide());
    this.svg.addEventListener("click", (event) => {
      if (event.target.item) this.describe([event.target.item]);
    });
    this.svg.addEventListener("dblclick", (event) => this.zoom(0.5, this.time(event.offsetX)));
    this.svg.addEventListener("keydown", (event) => {
      const acts = {
        "+": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.show(0, this.data.end),
        ArrowLeft: () => this.move(-0.2), ArrowRight: () => this.move(0.2),
      };
      if (!acts[event.key]) return;
      event.preventDefault();
      acts[event.key]();
    });
  }

  time(x) { return this.from + (x - this.left) / this.width * (this.to - this.from); }

  zoom(factor, around = (this.from + this.to) / 2) {
    this.show(around - (around - this.from) * factor, around + (this.to - around) * factor);
  }

  move(share) {
    const by = (this.to - this.from) * share;
    this.show(this.from + by, this.to + by);
  }

  show(from, to) {
    const most = this.data.end * 1.02 + 20;
    const span = Math.min(Math.max(to - from, 5), most);
    const middle = (from + to) / 2;
    this.from = Math.max(-most * 0.01, Math.min(middle - span / 2, this.data.end * 1.01 - span));
    if (span >= most) this.from = -most * 0.01;
    this.to = this.from + span;
    this.draw();
  }

  /** Lights up events, and dims all else; `null` lights up nothing. */
  light(events, closer) {
    this.lit = events && new Set(events);
    if (!events) {
      this.evidence.replaceChildren();
      this.draw();
      return;
    }
    const items = this.items().filter(({ lane, item }) =>
      lane !== "run" && item.events.some((event) => this.lit.has(event)));
    this.describe(items.map(({ item }) => item));
    const times = items.flatMap(({ item }) => [item.at ?? item.from]);
    if (closer && times.length) {
      const first = Math.min(...times), last = Math.max(...times);
      const room = Math.max((last - first) * 0.15, 400);
      this.show(first - room, last + room);
    } else {
      this.draw();
    }
  }

  items() {
    return this.data.lanes.flatMap((lane) => lane.rows.flatMap((row) =>
      [...(row.bars || []), ...(row.marks || [])].map((item) => {
        item.place = `${lane.name}, ${row.name}`;
        return { lane: lane.name, item };
      })));
  }

  describe(items) {
    const start = (item) => item.at ?? item.from;
    const lines = items.sort((one, other) => start(one) - start(other)).map((item) => {
      const line = element("div");
      line.append(element("span", { class: "at" }, seconds(start(item))));
      line.append(element("span", { class: "lane" }, item.place || ""));
      const text = element("span", {}, item.label + " ");
      text.append(element("code", {}, item.detail || ""));
      line.append(text);
      return line;
    });
    this.evidence.replaceChildren(...lines);
  }

  draw() {
    const whole = this.place.clientWidth || 800;
    this.left = whole < 640 ? 92 : 168;
    this.width = whole - this.left - 8;
    this.range.textContent = `${seconds(this.from)} to ${seconds(this.to)}`;
    const x = (t) => this.left + (t - this.from) / (this.to - this.from) * this.width;
    const parts = [];
    let y = 22;
    for (const lane of this.data.lanes) {
      parts.push(shape("line", { class: "lane-line", x1: 0, x2: whole, y1: y + 2, y2: y + 2 }));
      parts.push(shape("text", { class: "lane-name", x: 6, y: y + 15 }, lane.name));
      y += 20;
      for (const row of lane.rows) y = this.drawRow(lane, row, y, x, parts);
      y += 4;
    }
    const lines = this.departures.map((t) => ["departure-line", t]);
    if (this.failure !== null) lines.push(["failure-line", this.failure]);
    for (const [name, t] of lines) {
      if (t < this.from || t > this.to) continue;
      parts.push(shape("line", { class: name, x1: x(t), x2: x(t), y1: 18, y2: y, "pointer-events": "none" }));
    }
    this.svg.replaceChildren(...this.scale(x, y), ...parts);
    this.svg.setAttribute("class", this.lit ? "dimmed" : "");
    this.svg.setAttribute("viewBox", `0 0 ${whole} ${y + 4}`);
    this.svg.setAttribute("height", y + 4);
  }

  scale(x, bottom) {
    const span = this.to - this.from;
    const wish = span / Math.max(this.width / 90, 1);
    const power = 10 ** Math.floor(Math.log10(wish));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= wish);
    const parts = [];
    for (let t = Math.ceil(Math.max(this.from, 0) / step) * step; t <= this.to; t += step) {
      parts.push(shape("line", { class: "grid", x1: x(t), x2: x(t), y1: 18, y2: bottom }));
      const text = step < 1000 ? `${Math.round(t)} ms` : `${t / 1000} s`;
      parts.push(shape("text", { x: x(t) + 3, y: 13, class: "row-name" }, text));
    }
    return parts;
  }

  drawRow(lane, row, y, x, parts) {
    const height = 16;
    // Bars that overlap stand below each other.
    const ends = [];
    const place = (bar) => {
      const free = ends.findIndex((end) => end <= bar.from);
      const level = free < 0 ? ends.length : free;
      ends[level] = bar.to;
      return level;
    };
    const most = this.left < 100 ? 14 : 26;
    const name = row.name.length > most ? row.name.slice(0, most - 1) + "…" : row.name;
    parts.push(shape("text", { class: "row-name", x: 12, y: y + 12 }, name));
    for (const bar of row.bars || []) {
      const level = place(bar);
      const [from, to] = [Math.max(x(bar.from), this.left), Math.min(x(bar.to), this.left + this.width)];
      if (bar.to < this.from || bar.from > this.to) continue;
      const top = y + level * height;
      parts.push(this.item("rect", bar, lane, row,
        { x: from, y: top + 2, width: Math.max(to - from, 3), height: height - 4, rx: 2 }));
      const room = Math.floor((to - from - 6) / 6);
      if (room > 2) {
        const label = bar.label.length > room ? bar.label.slice(0, room - 1) + "…" : bar.label;
        parts.push(shape("text", { x: from + 4, y: top + 12 }, label));
      }
    }
    for (const mark of row.marks || []) {
      if (mark.at < this.from || mark.at > this.to) continue;
      parts.push(this.item("path", mark, lane, row, { d: this.form(mark, row, x(mark.at), y + height / 2) }));
    }
    return y + height * Math.max(ends.length, 1);
  }

  /** Ticks for what passes, arrows by direction on the wire, diamonds for what is decided. */
  form(mark, row, x, y) {
    if (row.name === "from the server") return `M${x - 4} ${y - 4}h8l-4 8z`;
    if (row.name === "to the server") return `M${x - 4} ${y + 4}h8l-4 -8z`;
    if (row.name === "checks") return `M${x} ${y - 7}l7 7l-7 7l-7 -7z`;
    if (mark.style === "departure" || mark.style === "trouble" || mark.style === "error") {
      return `M${x - 5} ${y - 3}l3 -3l2 3l2 -3l3 3l-3 3l3 3l-3 3l-2 -3l-2 3l-3 -3l3 -3z`;
    }
    return `M${x - 1.5} ${y - 6}h3v12h-3z`;
  }

  item(name, item, lane, row, attributes) {
    const lit = this.lit && lane.name !== "run" && item.events.some((event) => this.lit.has(event));
    const made = shape(name, {
      ...attributes, class: `item s-${item.style}${lit ? " lit" : ""}`, "data-label": item.label,
    });
    item.place = `${lane.name}, ${row.name}`;
    made.item = item;
    return made;
  }
}

/** What the pointer is on. */
const tip = {
  box: element("div", { class: "tip", hidden: "" }),
  hide() { this.box.hidden = true; },
  of(event, item) {
    if (!item) return this.hide();
    const when = item.at !== undefined ? seconds(item.at) : `${seconds(item.from)} to ${seconds(item.to)}`;
    this.box.replaceChildren(element("strong", {}, item.label),
      element("div", { class: "when" }, `${when} · ${item.place}`), element("code", {}, item.detail || ""));
    this.box.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.box;
    this.box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    const below = event.clientY + 18;
    this.box.style.top = `${below + height > innerHeight ? event.clientY - height - 12 : below}px`;
  },
};

const numbers = (text) => (text || "").split(" ").filter(Boolean).map(Number);

async function openRun(run) {
  const packed = run.querySelector('script[type="application/x-packed"]');
  if (!packed) return;
  packed.remove();
  const body = run.querySelector(".body");
  let details;
  try {
    details = await unpacked(packed.textContent);
  } catch (error) {
    body.textContent = `This run cannot be unpacked here: ${error}`;
    return;
  }
  // The writer of this page has escaped all that came from outside.
  body.innerHTML = details.html;
  for (const image of body.querySelectorAll("img[data-picture]")) {
    const kept = document.querySelector(`script.picture[data-name="${image.dataset.picture}"]`);
    if (kept) image.src = `data:image/png;base64,${kept.textContent}`;
  }
  const place = body.querySelector(".timeline");
  if (!place || !details.timeline) return;
  const failure = place.dataset.failure === undefined ? null : Number(place.dataset.failure);
  const timeline = new Timeline(place, details.timeline, failure);
  run.timeline = timeline;
  const release = () => {
    for (const one of body.querySelectorAll(".show")) one.setAttribute("aria-pressed", "false");
    for (const one of body.querySelectorAll(".lit-item")) one.classList.remove("lit-item");
  };
  place.addEventListener("unlit", release);
  body.addEventListener("click", (event) => {
    const show = event.target.closest(".show");
    if (!show) return;
    const again = show.getAttribute("aria-pressed") === "true";
    release();
    if (again) return timeline.light(null);
    show.setAttribute("aria-pressed", "true");
    const events = numbers(show.dataset.events);
    timeline.light(events, true);
    for (const one of body.querySelectorAll(".line, figure")) {
      if (numbers(one.dataset.events).some((event) => events.includes(event))) one.classList.add("lit-item");
    }
    place.scrollIntoView({ block: "nearest" });
  });
}

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const verdict = document.getElementById("verdict").value;
  const all = document.getElementById("more").dataset.all === "yes";
  let matching = 0, shown = 0;
  for (const run of document.querySelectorAll("details.run")) {
    const fits = (!verdict || run.dataset.verdict === verdict)
      && words.every((word) => run.dataset.text.includes(word));
    if (fits) matching += 1;
    run.hidden = !fits || (!all && shown >= SHOWN_AT_FIRST);
    if (!run.hidden) shown += 1;
  }
  document.getElementById("shown").textContent = `${shown} of ${matching} shown`;
  document.getElementById("no-match").hidden = matching > 0;
  const more = document.getElementById("more");
  more.hidden = shown === matching;
  more.textContent = `Show all ${matching} runs`;
}

function openLinked() {
  const run = location.hash.startsWith("#run-") && document.getElementById(location.hash.slice(1));
  if (!run) return;
  run.hidden = false;
  run.open = true;
  run.scrollIntoView();
}

document.body.append(tip.box);
for (const run of document.querySelectorAll("details.run")) {
  run.addEventListener("toggle", () => { if (run.open) openRun(run); });
}
document.addEventListener("click", async (event) => {
  const copy = event.target.closest(".copy");
  if (copy) {
    try {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(copy.previousElementSibling);
      copy.textContent = "Selected";
    }
  }
  const image = event.target.closest("figure img");
  if (image) image.parentElement.classList.toggle("large");
});
document.getElementById("filter").addEventListener("input", filter);
document.getElementById("verdict").addEventListener("change", filter);
document.getElementById("more").addEventListener("click", (event) => {
  event.target.dataset.all = "yes";
  filter();
});
addEventListener("hashchange", openLinked);
filter();
openLinked();
for (const run of document.querySelectorAll("details.run[open]")) openRun(run);
