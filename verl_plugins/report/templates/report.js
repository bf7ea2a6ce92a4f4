"use strict";
const charts = JSON.parse(document.getElementById("values").textContent);
const tooltip = document.getElementById("tooltip");
const hidden = new Set();
const SVG = "http://www.w3.org/2000/svg";

const visible = (chart) => chart.curves.filter((curve) => !hidden.has(curve.style));
const toX = (chart, step) => chart.frame.left + (step - chart.x[0]) / (chart.x[1] - chart.x[0]) * (chart.frame.right - chart.frame.left);
const toY = (chart, value) => chart.frame.bottom - (value - chart.y[0]) / (chart.y[1] - chart.y[0]) * (chart.frame.bottom - chart.frame.top);
const short = (value) => Math.abs(value) >= 1e3 && Math.abs(value) < 1e6 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));

function stepsOf(chart) {
  return [...new Set(visible(chart).flatMap((curve) => curve.steps))].sort((a, b) => a - b);
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Show the values of all runs at a step: a line, a ring on each curve, and the tooltip beside the chart's point.
function showStep(svg, step) {
  const chart = charts[svg.id], layer = svg.querySelector(".hover"), { top, bottom, width } = chart.frame;
  const x = toX(chart, step), box = svg.getBoundingClientRect();
  layer.replaceChildren(element("line", { x1: x, x2: x, y1: top, y2: bottom }));
  tooltip.replaceChildren(Object.assign(document.createElement("b"), { textContent: `step ${step}` }));
  for (const curve of visible(chart)) {
    const place = curve.steps.indexOf(step);
    if (place < 0) continue;
    layer.append(element("circle", { cx: x, cy: toY(chart, curve.values[place]), r: 4 }));
    const line = document.createElement("div");
    line.textContent = `${curve.run ? curve.run + ": " : ""}${short(curve.values[place])}`;
    tooltip.append(line);
  }
  svg.dataset.step = step;
  tooltip.hidden = false;
  const left = box.left + x / width * box.width;
  const beside = left + 14 + tooltip.offsetWidth > innerWidth ? left - 14 - tooltip.offsetWidth : left + 14;
  tooltip.style.left = `${Math.max(4, Math.min(beside, innerWidth - tooltip.offsetWidth - 4))}px`;
  tooltip.style.top = `${Math.max(4, Math.min(box.top + 8, innerHeight - tooltip.offsetHeight - 4))}px`;
}

function hideStep(svg) {
  svg.querySelector(".hover").replaceChildren();
  tooltip.hidden = true;
}

for (const svg of document.querySelectorAll("svg.lines")) {
  const chart = charts[svg.id];
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), steps = stepsOf(chart);
    if (!steps.length) return;
    const x = (event.clientX - box.left) / box.width * chart.frame.width;
    showStep(svg, steps.reduce((best, step) => Math.abs(toX(chart, step) - x) < Math.abs(toX(chart, best) - x) ? step : best));
  });
  svg.addEventListener("pointerleave", () => hideStep(svg));
  svg.addEventListener("blur", () => hideStep(svg));
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key], steps = stepsOf(chart);
    if (!move || !steps.length) return;
    event.preventDefault();
    const place = steps.indexOf(Number(svg.dataset.step ?? NaN));
    showStep(svg, steps[Math.max(0, Math.min(steps.length - 1, place + move))]);
  });
}

for (const button of document.querySelectorAll("[data-run]")) {
  button.addEventListener("click", () => {
    const style = Number(button.dataset.run), show = hidden.delete(style);
    if (!show) hidden.add(style);
    button.setAttribute("aria-pressed", String(show));
    for (const curve of document.querySelectorAll(`.chart .run${style}`)) curve.classList.toggle("off", !show);
  });
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const quoted = (text) => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

// One line a value, so that runs with different steps and charts of different metrics fit into one table.
function csvOf(names) {
  const lines = ["run,metric,step,value"];
  for (const chart of names.map((name) => charts[name]))
    for (const curve of chart.curves)
      curve.steps.forEach((step, place) => lines.push([quoted(curve.run), quoted(chart.key), step, curve.values[place]].join(",")));
  return lines.join("\n") + "\n";
}

const fileName = (name) => (name ? charts[name].key : document.title).replace(/[^\w.-]+/g, "_");

for (const button of document.querySelectorAll("[data-csv]")) {
  button.addEventListener("click", () => {
    const name = button.dataset.csv;
    save(new Blob([csvOf(name ? [name] : Object.keys(charts))], { type: "text/csv" }), `${fileName(name)}.csv`);
  });
}

// A copy of the chart with its styles written out, its title above it and the names of the runs below it.
function standalone(svg) {
  const chart = charts[svg.id], { width, height } = chart.frame, copy = svg.cloneNode(true);
  const shown = visible(chart).filter((curve) => curve.run), total = height + 24 + 16 * shown.length;
  const originals = svg.querySelectorAll("*"), copies = copy.querySelectorAll("*");
  const properties = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "font-family", "font-size", "display"];
  originals.forEach((original, place) => {
    const style = getComputedStyle(original);
    for (const property of properties) copies[place].style.setProperty(property, style.getPropertyValue(property));
  });
  copy.querySelector(".hover").remove();
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("viewBox", `0 -24 ${width} ${total}`);
  copy.setAttribute("width", 3 * width);
  copy.setAttribute("height", 3 * total);
  const page = getComputedStyle(document.documentElement);
  copy.prepend(element("rect", { x: 0, y: -24, width, height: total, fill: page.getPropertyValue("--card") }));
  const text = (words, x, y, size) => {
    const made = element("text", { x, y, style: `font: ${size}px system-ui, sans-serif; fill: ${page.getPropertyValue("--ink")}` });
    made.textContent = words;
    copy.append(made);
  };
  text(chart.label, 4, -6, 15);
  shown.forEach((curve, place) => {
    const y = height + 10 + 16 * place, line = copy.querySelector(`.run${curve.style} .curve`);
    const sample = element("path", { d: `M6,${y - 4}h30` });
    sample.setAttribute("style", line.getAttribute("style"));
    copy.append(sample);
    text(curve.run, 42, y, 12);
  });
  return new XMLSerializer().serializeToString(copy);
}

for (const button of document.querySelectorAll("[data-png]")) {
  button.addEventListener("click", () => {
    const image = new Image(), name = button.dataset.png;
    image.onload = () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
      canvas.getContext("2d").drawImage(image, 0, 0);
      canvas.toBlob((blob) => save(blob, `${fileName(name)}.png`));
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(standalone(document.getElementById(name)));
  });
}
