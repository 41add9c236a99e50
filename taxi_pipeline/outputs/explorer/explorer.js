/* The zone explorer: what is chosen, what follows from it, and three Vega views that show it. */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const lastWeek = Math.max(0, data.weeks.length - 1);
const placed = data.zones.filter((zone) => zone.outline);
const zoneOf = new Map(data.zones.map((zone) => [zone.id, zone]));
const BUSIEST = 10;

/* What is chosen. `zone` is an id, or null for the whole city. */
const chosen = { direction: "pickups", fleet: "all", from: 0, to: lastWeek, borough: "all", zone: null };

const dark = matchMedia("(prefers-color-scheme: dark)");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/* What follows from it. */

const words = () => (chosen.direction === "pickups" ? "pickups" : "drop-offs");
const boroughName = (borough) => data.borough_titles[borough] || borough;
const sum = (values, from = 0, to = values.length - 1) => {
  let total = 0;
  for (let n = from; n <= to; n++) total += values[n];
  return total;
};
const added = (rows, length) => {
  const total = new Array(length).fill(0);
  for (const row of rows) for (let n = 0; n < length; n++) total[n] += row[n];
  return total;
};

/* Zone id → its trips per week or hour, of the chosen fleet and direction. */
function rows(kind) {
  const fleets = chosen.fleet === "all" ? data.fleets.map((fleet) => fleet.key) : [chosen.fleet];
  const found = new Map();
  for (const fleet of fleets) {
    for (const [id, values] of Object.entries(data[kind][chosen.direction][fleet])) {
      const before = found.get(+id);
      found.set(+id, before ? added([before, values], values.length) : values);
    }
  }
  return found;
}

/* Of the chosen zone, or of all together. */
function series(kind, length) {
  const found = rows(kind);
  return chosen.zone === null ? added(found.values(), length) : found.get(chosen.zone) || new Array(length).fill(0);
}

/* Zone id → trips in the chosen weeks. */
function tripsByZone() {
  const found = new Map();
  for (const [id, values] of rows("weekly")) found.set(id, sum(values, chosen.from, chosen.to));
  return found;
}

/* The views. */

const feature = (zone) => ({
  type: "Feature",
  id: zone.id,
  zone: zone.zone,
  geometry: { type: "MultiPolygon", coordinates: zone.outline },
});
const features = placed.map(feature);

const config = () => ({
  background: null,
  axis: { labelColor: color("muted"), titleColor: color("muted"), domainColor: color("line"), tickColor: color("line"), gridColor: color("line") },
  legend: { labelColor: color("muted"), titleColor: color("muted") },
});

const mapSpec = () => ({
  autosize: "none",
  padding: 2,
  signals: [{ name: "fitted", value: null }, { name: "picked", value: null }, { name: "most", value: 10 }, { name: "least", value: 1 }],
  data: [{ name: "zones" }],
  /* The outlines are in the plane already. */
  projections: [{ name: "plane", type: "identity", fit: { signal: "fitted" }, size: { signal: "[width, height]" } }],
  scales: [{ name: "color", type: "log", domain: { signal: "[least, most]" }, range: { scheme: "viridis" } }],
  legends: [{ fill: "color", type: "gradient", orient: "top-left", direction: "horizontal", gradientLength: Math.min(180, 0.3 * width("map")), title: "Trips per zone (log)", format: "~s", tickCount: 4 }],
  marks: [
    {
      type: "shape",
      from: { data: "zones" },
      encode: {
        update: {
          fill: [{ test: "datum.trips > 0", scale: "color", field: "trips" }, { value: color("none") }],
          stroke: [{ test: "datum.id === picked", value: color("ink") }, { value: color("paper") }],
          strokeWidth: [{ test: "datum.id === picked", value: 3 }, { value: 0.6 }],
          zindex: [{ test: "datum.id === picked", value: 1 }, { value: 0 }],
          cursor: { value: "pointer" },
          tooltip: { signal: "datum" },
          description: { signal: "datum.label + ': ' + datum.words" },
        },
      },
      transform: [{ type: "geoshape", projection: "plane" }],
    },
  ],
});

const barsSpec = (labels, height) => ({
  autosize: { type: "fit-x", contains: "padding" },
  padding: 4,
  height,
  data: [{ name: "bars" }],
  scales: [
    { name: "x", type: "band", domain: { data: "bars", field: "n" }, range: "width", padding: 0.15 },
    { name: "y", domain: { data: "bars", field: "trips" }, range: "height", zero: true, nice: true },
  ],
  axes: [
    { orient: "left", scale: "y", grid: true, tickCount: 4, format: ",d" },
    { orient: "bottom", scale: "x", values: labels.ticks, labelOverlap: true, encode: { labels: { update: { text: { signal: labels.text } } } } },
  ],
  marks: [
    {
      type: "rect",
      from: { data: "bars" },
      encode: {
        update: {
          x: { scale: "x", field: "n" },
          width: { scale: "x", band: 1 },
          y: { scale: "y", field: "trips" },
          y2: { scale: "y", value: 0 },
          fill: [{ test: "datum.chosen", value: color("bar") }, { value: color("pale") }],
          tooltip: { signal: "datum" },
          description: { signal: "datum.label + ': ' + datum.words" },
        },
      },
    },
  ],
});

function tooltip(_, event, __, shown) {
  const box = byId("tooltip");
  box.hidden = !shown;
  if (!shown) return;
  const name = document.createElement("strong");
  name.textContent = shown.label;
  box.replaceChildren(name, shown.words);
  box.style.left = `${Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 8)}px`;
}

function makeView(spec, place, width) {
  return new vega.View(vega.parse(spec, config()), { renderer: "svg", hover: true, tooltip }).initialize(byId(place)).width(width);
}

let views = null;

const width = (id) => Math.max(240, byId(id).clientWidth);
const mapHeight = () => Math.round(Math.min(width("map") * 0.98, Math.max(360, innerHeight - 200)));

function build() {
  if (views) for (const view of Object.values(views)) view.finalize();
  const step = Math.max(1, Math.ceil(data.weeks.length / 5));
  const ticks = data.weeks.map((_, n) => n).filter((n) => n % step === 0);
  const weekLabels = { ticks, text: `${JSON.stringify(data.weeks)}[datum.value]` };
  const hourLabels = { ticks: [0, 3, 6, 9, 12, 15, 18, 21], text: "format(datum.value, '02') + ':00'" };
  views = {
    map: makeView(mapSpec(), "map", width("map") - 4),
    weeks: makeView(barsSpec(weekLabels, 130), "weeks", width("weeks")),
    hours: makeView(barsSpec(hourLabels, 130), "hours", width("hours")),
  };
  views.map.height(mapHeight());
  views.map.addEventListener("click", (_, item) => {
    if (item && item.datum && item.datum.id) choose({ zone: item.datum.id === chosen.zone ? null : item.datum.id });
  });
  show();
}

/* Showing. */

function show() {
  const trips = tripsByZone();
  const all = sum([...trips.values()]);
  const ranked = placed.filter((zone) => trips.get(zone.id)).sort((a, b) => trips.get(b.id) - trips.get(a.id) || a.id - b.id);
  const rank = new Map(ranked.map((zone, n) => [zone.id, n + 1]));
  const describe = (zone) => {
    const count = trips.get(zone.id) || 0;
    if (!count) return `no ${words()}`;
    return `${number.format(count)} ${words()}, ${((100 * count) / all).toFixed(2)}% of all, number ${rank.get(zone.id)} of ${placed.length}`;
  };
  showMap(trips, ranked, describe);
  showSeries();
  showWords(trips, all, ranked, describe);
}

function showMap(trips, ranked, describe) {
  const most = ranked.length ? trips.get(ranked[0].id) : 10;
  const least = ranked.length ? trips.get(ranked[ranked.length - 1].id) : 1;
  const fitted = features.filter((_, n) => chosen.borough === "all" || placed[n].borough === chosen.borough);
  const shown = placed.map((zone, n) => ({
    ...features[n],
    trips: trips.get(zone.id) || 0,
    label: `${zone.zone}, ${boroughName(zone.borough)}`,
    words: describe(zone),
  }));
  views.map.signal("least", least).signal("most", Math.max(most, least + 1)).signal("picked", chosen.zone);
  views.map.signal("fitted", { type: "FeatureCollection", features: fitted }).data("zones", shown).run();
}

function showSeries() {
  const bars = (values, label, isChosen) =>
    values.map((trips, n) => ({ n, trips, chosen: isChosen(n), label: label(n), words: `${number.format(trips)} ${words()}` }));
  const inWeeks = (n) => n >= chosen.from && n <= chosen.to;
  views.weeks.data("bars", bars(series("weekly", data.weeks.length), (n) => `Week of ${data.weeks[n]}`, inWeeks)).run();
  const hour = (n) => `${String(n).padStart(2, "0")}:00 to ${String((n + 1) % 24).padStart(2, "0")}:00`;
  views.hours.data("bars", bars(series("hourly", 24), hour, () => true)).run();
}

function showWords(trips, all, ranked, describe) {
  const zone = chosen.zone === null ? null : zoneOf.get(chosen.zone);
  byId("chosen").textContent = zone ? `${zone.zone}, ${boroughName(zone.borough)}` : "All of New York";
  byId("chosen-numbers").textContent = zone ? describe(zone) : `${number.format(all)} ${words()}`;
  byId("from-week").textContent = data.weeks[chosen.from] || "";
  byId("to-week").textContent = data.weeks[chosen.to] || "";
  byId("from").setAttribute("aria-valuetext", `week of ${data.weeks[chosen.from]}`);
  byId("to").setAttribute("aria-valuetext", `week of ${data.weeks[chosen.to]}`);
  const onMap = sum(ranked.map((each) => trips.get(each.id)));
  byId("summary").textContent = data.weeks.length
    ? `${number.format(onMap)} ${words()} on the map, weeks of ${data.weeks[chosen.from]} to ${data.weeks[chosen.to]}; ` +
      `${number.format(all - onMap)} more in places not known or outside the city.`
    : "No days are loaded.";
  byId("zone-list").replaceChildren(...ranked.slice(0, BUSIEST).map((each) => listed(each, trips.get(each.id))));
}

function listed(zone, count) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", String(zone.id === chosen.zone));
  const [name, trips] = [document.createElement("span"), document.createElement("span")];
  name.textContent = zone.zone;
  trips.textContent = number.format(count);
  button.append(name, trips);
  button.addEventListener("click", () => {
    choose({ zone: zone.id });
    byId("zone-list").querySelector("[aria-pressed=true]")?.focus();
  });
  const item = document.createElement("li");
  item.append(button);
  return item;
}

/* Choosing. */

function choose(what) {
  Object.assign(chosen, what);
  byId("from").value = chosen.from;
  byId("to").value = chosen.to;
  show();
}

function find(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return;
  const exact = placed.find((zone) => zone.zone.toLowerCase() === wanted);
  const found = exact || placed.find((zone) => zone.zone.toLowerCase().includes(wanted));
  byId("search").setCustomValidity(found ? "" : `No zone is called ${text}`);
  byId("search").reportValidity();
  if (found) choose({ zone: found.id });
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function start() {
  const several = data.fleets.length > 1;
  byId("fleet").append(...(several ? [option("all", "All fleets")] : []), ...data.fleets.map((fleet) => option(fleet.key, fleet.title)));
  chosen.fleet = byId("fleet").value;
  const boroughs = [...new Set(placed.map((zone) => zone.borough))].sort();
  byId("borough").append(option("all", "All boroughs"), ...boroughs.map((name) => option(name, boroughName(name))));
  byId("zone-names").append(...placed.map((zone) => option(zone.zone, zone.borough)));
  for (const id of ["from", "to"]) byId(id).max = lastWeek;
  byId("to").value = lastWeek;

  for (const radio of document.getElementsByName("direction")) radio.addEventListener("change", () => choose({ direction: radio.value }));
  byId("fleet").addEventListener("change", (event) => choose({ fleet: event.target.value }));
  byId("borough").addEventListener("change", (event) => choose({ borough: event.target.value }));
  /* The other end gives way, so that the first week never comes after the last. */
  byId("from").addEventListener("input", (event) => choose({ from: +event.target.value, to: Math.max(+event.target.value, chosen.to) }));
  byId("to").addEventListener("input", (event) => choose({ to: +event.target.value, from: Math.min(+event.target.value, chosen.from) }));
  byId("search").addEventListener("change", (event) => find(event.target.value));
  byId("search").addEventListener("input", () => byId("search").setCustomValidity(""));
  byId("reset").addEventListener("click", () => {
    byId("search").value = "";
    choose({ zone: null, from: 0, to: lastWeek });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose({ zone: null });
  });
  dark.addEventListener("change", build);
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(build, 150);
  });
  build();
}

start();
