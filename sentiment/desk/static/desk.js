"use strict";
// Draws the charts from the data in the page, sends filter forms as they change, copies SQL, and answers keys in the queue.

const colors = { negative: "var(--negative)", positive: "var(--positive)", neutral: "var(--neutral)" };
const percent = (share, digits = 1) => (100 * share).toFixed(digits) + " %";
const dated = (row) => ({ ...row, x: new Date(row.x) });
const days = (date) => date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
// Days without tweets part a line in pieces.
const pieces = (rows, days) => rows.reduce((found, row) => {
  const last = found.at(-1);
  return [...found, { ...row, piece: last ? last.piece + (row.x - last.x > 1.5 * days * 864e5) : 0 }];
}, []);
const interval = { day: "day", week: "monday" };

// A tick or label says what it is; the marks lead to what is behind them, by mouse and by keyboard.
const kinds = {
  share(data, width) {
    const rows = data.rows.map(dated), scored = pieces(rows.filter((row) => row.y !== null), data.unit === "week" ? 7 : 1);
    const shared = { width, marginLeft: 48, marginBottom: 36, className: "plot", x: { type: "utc", label: null } };
    const share = Plot.plot({
      ...shared, height: 220, y: { label: null, tickFormat: "%", grid: true, domain: range(scored) },
      marks: [
        Plot.areaY(scored, { x: "x", y1: "lower", y2: "upper", z: "piece", fill: "var(--positive)", fillOpacity: 0.18 }),
        Plot.lineY(scored, { x: "x", y: "y", z: "piece", stroke: "var(--positive)", strokeWidth: 2 }),
        Plot.dot(scored, { x: "x", y: "y", r: 3.5, fill: "var(--positive)", href: "href", ariaLabel: (row) => `${days(row.x)}: ${percent(row.y)} positive` }),
        Plot.tip(scored, Plot.pointerX({ x: "x", y: "y", title: (row) => `${days(row.x)}\n${percent(row.y)} positive (${percent(row.lower)} to ${percent(row.upper)})\n${row.count.toLocaleString("en")} tweets`, fill: "var(--card)", stroke: "var(--axis)" })),
      ],
    });
    const volume = Plot.plot({
      ...shared, height: 110, y: { label: null, ticks: 3, tickFormat: "~s", grid: true },
      marks: [
        Plot.rectY(rows, { x: "x", interval: interval[data.unit], y: "count", fill: "var(--bars)", href: "href", inset: 0.5, ariaLabel: (row) => `${days(row.x)}: ${row.count} tweets` }),
        Plot.ruleY([0], { stroke: "var(--axis)" }),
      ],
    });
    return [share, volume];
  },
  stacked(data, width) {
    const rows = data.rows.map(dated);
    return [Plot.plot({
      width, height: 180, marginLeft: 48, marginBottom: 36, className: "plot", x: { type: "utc", label: null }, y: { label: null, ticks: 4, tickFormat: "~s", grid: true },
      marks: [
        Plot.rectY(rows, { x: "x", interval: "day", y: "y", fill: (row) => colors[row.series] || "var(--bars)", href: "href", inset: 0.5, ariaLabel: (row) => `${days(row.x)}: ${row.y} ${row.series}`, title: (row) => `${days(row.x)}: ${row.y.toLocaleString("en")} ${row.series}`, order: "series" }),
        Plot.ruleY([0], { stroke: "var(--axis)" }),
      ],
    })];
  },
  curve(data, width) {
    const series = [...new Set(data.rows.map((row) => row.series))];
    return [Plot.plot({
      width, height: 260, marginLeft: 48, marginRight: 24, className: "plot", x: { type: "log", label: null, tickFormat: "~s", nice: true, ticks: 5 },
      y: { label: null, tickFormat: "%", grid: true, domain: range(data.rows) },
      marks: [
        Plot.ruleX(data.rows, { x: "x", y1: "lower", y2: "upper", stroke: "series" }),
        Plot.lineY(data.rows, { x: "x", y: "y", z: "series", stroke: "series" }),
        Plot.dot(data.rows, { x: "x", y: "y", r: 5, fill: "series", href: "href", ariaLabel: (row) => `${row.name}: ${percent(row.y)}`, title: (row) => `${row.name}, ${row.series}: ${percent(row.y)} (${percent(row.lower)} to ${percent(row.upper)}) after ${row.x.toLocaleString("en")} rows` }),
      ],
      color: { domain: series, legend: series.length > 1, scheme: undefined, range: ["var(--positive)", "#d08a1d", "#3a9a68", "#9a6bc8", "#c25b8f", "#6f8f2f"] },
    })];
  },
  drift(data, width) {
    const rows = data.rows.map(dated), highest = Math.max(...rows.map((row) => row.upper ?? row.y));
    // A threshold that is far away would flatten the values.
    const near = rows.filter((row) => row.threshold !== null && row.threshold <= 3 * highest);
    return [Plot.plot({
      width, height: 140, marginLeft: 56, marginBottom: 36, className: "plot", x: { type: "utc", label: null, ticks: 4 }, y: { label: null, grid: true, ticks: 4, tickFormat: (value) => value.toLocaleString("en", { maximumSignificantDigits: 3, notation: Math.abs(value) >= 1e4 ? "compact" : "standard" }), nice: true },
      marks: [
        Plot.areaY(rows.filter((row) => row.lower !== null), { x: "x", y1: "lower", y2: "upper", fill: "var(--positive)", fillOpacity: 0.18 }),
        Plot.lineY(near, { x: "x", y: "threshold", stroke: "var(--axis)", strokeDasharray: "4 3", curve: "step" }),
        Plot.lineY(rows, { x: "x", y: "y", stroke: "var(--positive)" }),
        Plot.dot(rows, { x: "x", y: "y", r: (row) => (row.alarm ? 5 : 3), fill: (row) => (row.alarm ? "var(--negative)" : "var(--positive)"), href: "href", ariaLabel: (row) => `${days(row.x)}: ${row.y}`, title: (row) => `${days(row.x)}: ${row.y.toLocaleString("en", { maximumSignificantDigits: 4 })}${row.alarm ? ", an alarm" : ""}` }),
      ],
    })];
  },
  bars(data, width) {
    const left = Math.min(180, width * 0.4);
    return [Plot.plot({
      width, height: 30 + 24 * data.rows.length, marginLeft: left, className: "plot", x: { label: null, grid: true, ticks: 5, ...(data.percent ? { tickFormat: "%" } : { tickFormat: "~s" }) }, y: { label: null, domain: data.rows.map((row) => row.x), tickFormat: (name) => (name.length > left / 7 ? name.slice(0, left / 7) + "…" : name) },
      marks: [
        Plot.barX(data.rows, { x: "y", y: "x", fill: "var(--positive)", href: "href", title: (row) => `${row.x}: ${data.percent ? percent(row.y) : row.y.toLocaleString("en")}`, ariaLabel: (row) => `${row.x}: ${row.y}`, inset: 1 }),
        Plot.ruleX([0], { stroke: "var(--axis)" }),
      ],
    })];
  },
  line(data, width) {
    const rows = data.time ? data.rows.map(dated) : data.rows;
    const shown = (row) => (data.percent ? percent(row.y) : row.y.toLocaleString("en"));
    return [Plot.plot({
      width, height: 200, marginLeft: 52, marginBottom: 36, className: "plot", x: { label: null, ...(data.time ? { type: "utc" } : {}), ...(data.xpercent ? { tickFormat: "%" } : {}) }, y: { label: null, grid: true, nice: true, tickFormat: data.percent ? "%" : "~s" },
      marks: [
        Plot.lineY(rows, { x: "x", y: "y", z: "series", stroke: "var(--positive)" }),
        Plot.dot(rows, { x: "x", y: "y", r: 4, fill: "var(--positive)", href: "href", title: (row) => `${row.name || row.x}: ${shown(row)}`, ariaLabel: (row) => `${row.name || row.x}: ${shown(row)}` }),
      ],
    })];
  },
};

function range(rows) {
  const low = Math.min(...rows.map((row) => row.lower ?? row.y)), high = Math.max(...rows.map((row) => row.upper ?? row.y));
  const space = Math.max(0.01, (high - low) * 0.1);
  return [Math.max(0, low - space), Math.min(1, high + space)];
}

const figures = [...document.querySelectorAll("[data-chart]")].map((figure) => ({
  place: figure.querySelector(".plot-place"),
  data: JSON.parse(figure.querySelector("script").textContent),
}));

function draw() {
  for (const { place, data } of figures) {
    if (place.clientWidth && data.rows.length) place.replaceChildren(...kinds[data.kind](data, place.clientWidth));
    // Plot names every mark; those that lead nowhere say nothing to a screen reader.
    for (const mark of place.querySelectorAll("g[aria-label]")) {
      if (mark.querySelector("a")) mark.setAttribute("role", "group");
      else mark.setAttribute("aria-hidden", "true");
    }
  }
  // What is cut off can be scrolled to by keyboard.
  for (const box of document.querySelectorAll(".scroll, pre")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

draw();
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  draw();
});

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", (event) => { if (event.target.type !== "search") form.requestSubmit(); });
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
  addEventListener("pageshow", () => { for (const field of form.elements) field.disabled = false; });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      document.getElementById("copied").textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(text);
      document.getElementById("copied").textContent = "Selected: copy it with Ctrl+C.";
    }
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const button = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (button && !event.repeat) { event.preventDefault(); button.click(); }
});
