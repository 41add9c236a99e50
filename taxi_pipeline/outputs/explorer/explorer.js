/* The page: what is chosen, how it is chosen, and what shows it. */
"use strict";

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const rate = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const BUSIEST = 10;
const MILLISECONDS_A_WEEK = 700;

/* `than` is the selection that this one is compared with, or null. `zone` is an id, or null for all that is shown. */
let view = viewFromFragment(location.hash.slice(1));
let playing = 0;

/* Words. */

const words = (selection = view.selection) => ({ pickups: "pickups", net: "net pickups", dropoffs: "drop-offs" })[selection.count];
const fleetTitle = (key) => (key === "all" ? "all fleets" : data.fleets.find((fleet) => fleet.key === key).title);
const hour = (n) => `${String(n).padStart(2, "0")}:00`;
/* A change that is rounded to zero has no sign, because it may be either. */
function signed(change) {
  const text = Math.abs(100 * change).toFixed(Math.abs(change) < 0.1 ? 1 : 0);
  return `${Number(text) ? (change < 0 ? "−" : "+") : ""}${text}%`;
}
const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1%" : `${(100 * share).toFixed(1)}%`);

function when(selection) {
  if (!data.weeks.length) return "no weeks";
  if (selection.hours) return `${hour(selection.hours[0])} to ${hour((selection.hours[1] + 1) % 24)}, all weeks`;
  const [from, to] = [data.weeks[selection.from], data.weeks[selection.to]];
  return from === to ? `week of ${from}` : `weeks of ${from} to ${to}`;
}

const selectionInWords = (selection) => `${words(selection)} of ${fleetTitle(selection.fleet)}, ${when(selection)}`;
const place = () => (view.borough === "all" ? "New York" : boroughName(view.borough));
const isShown = (zone) => view.borough === "all" || zone.borough === view.borough;

/* Drawing. */

function point(event, shown) {
  const box = byId("tooltip");
  box.hidden = !shown || !shown.words;
  if (box.hidden) return;
  const name = document.createElement("strong");
  name.textContent = shown.label;
  box.replaceChildren(name, shown.words);
  box.style.left = `${Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 8)}px`;
}

let describe = () => "";
const map = makeMap(byId("map"), {
  onClick: (zone) => choose({ zone: zone.id === view.zone ? null : zone.id }),
  onPoint: (event, zone) => point(event, zone && { label: `${zone.zone}, ${boroughName(zone.borough)}`, words: describe(zone) }),
});
const weeks = makeBars(byId("weeks"), { label: () => heading(), onBrush: (range) => chooseWeeks(range), onPoint: point });
const hours = makeBars(byId("hours"), { label: () => heading(), onBrush: (range) => chooseHours(range), onPoint: point });

const heading = () => (view.zone === null ? (view.borough === "all" ? "All of New York" : place()) : `${zoneOf.get(view.zone).zone}, ${boroughName(zoneOf.get(view.zone).borough)}`);

function show() {
  const trips = tripsByZone(view.selection);
  const days = loadedDays(view.selection);
  const shown = placed.filter(isShown);
  const onMap = sum(shown.map((zone) => trips.get(zone.id) || 0));
  const everywhere = view.borough === "all" ? sum([...trips.values()]) : onMap;
  const ranked = shown.filter((zone) => trips.get(zone.id)).sort((a, b) => trips.get(b.id) - trips.get(a.id) || a.id - b.id);
  const rank = new Map(ranked.map((zone, n) => [zone.id, n + 1]));
  const changes = view.than && changesByZone(view.selection, view.than);
  describe = (zone) => {
    const count = trips.get(zone.id) || 0;
    const parts = count ? [`${number.format(count)} ${words()}`, `${rate.format(count / days)} a day`] : [`no ${words()}`];
    if (count && rank.has(zone.id)) parts.push(`${percent(count / onMap)} of ${place()}`, `number ${rank.get(zone.id)} of ${shown.length}`);
    if (changes) parts.push(changes.get(zone.id) === null ? "too few to compare" : `${signed(changes.get(zone.id))} compared`);
    return parts.join(", ");
  };
  if (changes) showDifferences(changes);
  else showCounts(trips, shown);
  showSeries();
  showWords(trips, ranked, everywhere, days);
  showControls();
  history.replaceState(null, "", `#${viewAsFragment(view)}`);
}

function showCounts(trips, shown) {
  const starts = roundClasses(shown.map((zone) => trips.get(zone.id) || 0));
  map.show((zone) => ({ shade: `s${shadeOf(trips.get(zone.id) || 0, starts)}`, words: describe(zone) }), view.zone, isShown);
  const swatches = starts.map((start) => ({ shade: `s${shadeOf(start, starts)}`, words: d3.format("~s")(start) }));
  showKey(byId("key"), `${words()} per zone, from … on`, [{ shade: "s0", words: "none" }, ...swatches]);
}

function showDifferences(changes) {
  const shade = (zone) => (changes.get(zone.id) === null ? "s0" : `d${shadeOfChange(changes.get(zone.id))}`);
  map.show((zone) => ({ shade: shade(zone), words: describe(zone) }), view.zone, isShown);
  const starts = [`less than ${signed(CHANGES[0])}`, ...CHANGES.map((change) => `from ${signed(change)}`)];
  const what = comparesShares(view.selection, view.than) ? "share of the trips in known zones" : "trips per day";
  showKey(byId("key"), `Change of the ${what}`, [{ shade: "s0", words: "too few" }, ...starts.map((text, n) => ({ shade: `d${n + 1}`, words: text }))]);
}

function showSeries() {
  const { selection, than } = view;
  const perWeek = seriesOf(selection, "weekly", data.weeks.length, view.zone, view.borough);
  const loaded = data.days[selection.fleet] || [];
  const bars = perWeek.map((trips, n) => ({
    value: loaded[n] ? trips / loaded[n] : 0,
    words: `Week of ${data.weeks[n]}: ${number.format(trips)} ${words()}, ${loaded[n] ? `${rate.format(trips / loaded[n])} a day` : "no day loaded"}${loaded[n] < 7 ? ` (${loaded[n]} of 7 days loaded)` : ""}`,
    isChosen: !selection.hours && n >= selection.from && n <= selection.to,
    isPinned: Boolean(than && !than.hours && n >= than.from && n <= than.to),
    isPartial: loaded[n] < 7,
  }));
  const every = Math.max(1, Math.ceil(data.weeks.length / Math.floor(byId("weeks").clientWidth / 90)));
  const ticks = data.weeks.map((text, n) => ({ n, text })).filter(({ n }) => n % every === Math.floor(every / 2));
  const isAll = selection.from === 0 && selection.to === lastWeek;
  weeks.show(bars, ticks, selection.hours || isAll ? null : [selection.from, selection.to]);
  byId("partial").hidden = !bars.some((bar) => bar.isPartial);

  const all = Math.max(1, sum(loaded));
  const perHour = seriesOf(selection, "hourly", 24, view.zone, view.borough);
  const hourBars = perHour.map((trips, n) => ({
    value: trips / all,
    words: `${hour(n)} to ${hour((n + 1) % 24)}: ${number.format(trips)} ${words()}, ${rate.format(trips / all)} a day`,
    isChosen: !selection.hours || (n >= selection.hours[0] && n <= selection.hours[1]),
    isPinned: Boolean(than && than.hours && n >= than.hours[0] && n <= than.hours[1]),
  }));
  hours.show(hourBars, [0, 6, 12, 18].map((n) => ({ n, text: hour(n) })), selection.hours);
}

function showWords(trips, ranked, everywhere, days) {
  const zone = view.zone === null ? null : zoneOf.get(view.zone);
  byId("chosen").textContent = heading();
  byId("chosen-numbers").textContent = zone
    ? describe(zone)
    : `${number.format(everywhere)} ${words()}${days ? `, ${rate.format(everywhere / days)} a day` : ""}`;
  byId("title").textContent = data.weeks.length ? `${words()[0].toUpperCase()}${selectionInWords(view.selection).slice(1)}` : "No days are loaded";
  byId("compared").hidden = !view.than;
  byId("compared").textContent = view.than ? `Compared with ${selectionInWords(view.than)}` : "";
  const onMap = sum(ranked.map((each) => trips.get(each.id)));
  byId("summary").textContent =
    view.borough === "all" && everywhere > onMap
      ? `${number.format(onMap)} ${words()} are on the map; ${number.format(everywhere - onMap)} more are outside the zones or not known. Shares are of those on the map.`
      : `${number.format(onMap)} ${words()} are on the map.`;
  const most = ranked.length ? trips.get(ranked[0].id) : 1;
  const busiest = ranked.slice(0, BUSIEST).map((each) => ({
    name: each.zone,
    number: number.format(trips.get(each.id)),
    share: trips.get(each.id) / most,
    isChosen: each.id === view.zone,
    onClick: () => {
      choose({ zone: each.id });
      byId("zone-list").querySelector("[aria-pressed=true]")?.focus();
    },
  }));
  showList(byId("zone-list"), busiest);
  byId("busiest-title").textContent = `The busiest zones of ${place()}`;
  showFlows(zone);
}

function showFlows(zone) {
  const borough = zone ? zone.borough : view.borough;
  const everywhere = flowsOf(view.selection, borough);
  const flows = everywhere.filter(([name]) => boroughs.includes(name));
  const all = sum(flows.map(([, trips]) => trips));
  const others = sum(everywhere.map(([, trips]) => trips)) - all;
  const from = borough === "all" ? "" : ` ${endOf(view.selection) === "pickups" ? "from" : "to"} ${boroughName(borough)}`;
  const end = endOf(view.selection) === "pickups" ? "end" : "begin";
  byId("flows-title").textContent = `Where trips${from} ${end}`;
  const notes = [];
  if (zone || view.selection.hours) notes.push(`Of the whole borough${view.selection.hours ? " and all hours" : ""}: pairs of zones are not counted.`);
  if (view.selection.count === "net") notes.push("Trips from borough to borough are as published.");
  if (others) notes.push(`Shares are of trips that ${end} in a known zone; ${number.format(others)} more ${end} in none.`);
  byId("flows-note").hidden = !notes.length;
  byId("flows-note").textContent = notes.join(" ");
  showList(byId("flows"), flows.map(([name, trips]) => ({ name: boroughName(name), number: percent(trips / all), share: trips / flows[0][1] })));
}

function showControls() {
  const { selection } = view;
  for (const radio of document.getElementsByName("count")) radio.checked = radio.value === selection.count;
  byId("fleet").value = selection.fleet;
  byId("borough").value = view.borough;
  for (const [id, week] of [["from", selection.from], ["to", selection.to]]) {
    byId(id).value = week;
    byId(`${id}-week`).textContent = data.weeks[week] || "";
    byId(id).setAttribute("aria-valuetext", `week of ${data.weeks[week]}`);
  }
  byId("part-of-day").value = selection.hours ? selection.hours.join("-") : "all";
  if (!byId("part-of-day").value) byId("part-of-day").value = "other";
  byId("compare").textContent = view.than ? "Stop comparing" : "Compare with this";
  byId("compare").setAttribute("aria-pressed", String(Boolean(view.than)));
  byId("play").textContent = playing ? "Stop" : "Play the weeks";
}

/* Choosing. */

function choose(what) {
  view = { ...view, ...what };
  show();
}

/* The whole city, or the borough that is shown. */
const fitShown = () => map.fit(view.borough === "all" ? [] : placed.filter(isShown));

const select = (what) => choose({ selection: { ...view.selection, ...what } });

function chooseWeeks(range) {
  select({ hours: null, from: range ? range[0] : 0, to: range ? range[1] : lastWeek });
}

function chooseHours(range) {
  select({ hours: range, from: 0, to: lastWeek });
}

function chooseBorough(borough) {
  const zone = view.zone !== null && (borough === "all" || zoneOf.get(view.zone).borough === borough) ? view.zone : null;
  choose({ borough, zone });
  fitShown();
}

function find(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return;
  const exact = placed.find((zone) => zone.zone.toLowerCase() === wanted);
  const found = exact || placed.find((zone) => zone.zone.toLowerCase().includes(wanted));
  byId("search").setCustomValidity(found ? "" : `No zone is called ${text}`);
  byId("search").reportValidity();
  if (!found) return;
  choose({ zone: found.id, borough: isShown(found) ? view.borough : "all" });
  map.fit(placed.filter((zone) => zone.borough === found.borough));
}

function play() {
  if (playing) {
    clearInterval(playing);
    playing = 0;
    return show();
  }
  const length = view.selection.hours || (view.selection.from === 0 && view.selection.to === lastWeek) ? 1 : view.selection.to - view.selection.from + 1;
  const next = () => {
    const from = view.selection.to === lastWeek ? 0 : view.selection.from + 1;
    select({ hours: null, from, to: Math.min(lastWeek, from + length - 1) });
  };
  playing = setInterval(next, MILLISECONDS_A_WEEK);
  return select({ hours: null, from: 0, to: Math.min(lastWeek, length - 1) });
}

/* What is shown, as CSV: a row for each zone. */
function csv() {
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const columns = (selection) => {
    const [trips, days] = [tripsByZone(selection), loadedDays(selection)];
    return (zone) => [trips.get(zone.id) || 0, days ? ((trips.get(zone.id) || 0) / days).toFixed(3) : ""];
  };
  const now = columns(view.selection);
  const then = view.than ? columns(view.than) : () => [];
  const header = ["zone_id", "zone", "borough", "trips", "trips_per_day", ...(view.than ? ["compared_trips", "compared_trips_per_day"] : [])];
  const lines = placed.filter(isShown).map((zone) => [zone.id, quoted(zone.zone), quoted(zone.borough), ...now(zone), ...then(zone)].join(","));
  return `${[header.join(","), ...lines].join("\n")}\n`;
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `zones ${selectionAsText(view.selection).replaceAll(",", " ")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
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
  byId("borough").append(option("all", "All boroughs"), ...boroughs.map((name) => option(name, boroughName(name))));
  byId("zone-names").append(...placed.map((zone) => option(zone.zone, boroughName(zone.borough))));
  for (const id of ["from", "to"]) byId(id).max = lastWeek;

  for (const radio of document.getElementsByName("count")) radio.addEventListener("change", () => select({ count: radio.value }));
  byId("fleet").addEventListener("change", (event) => select({ fleet: event.target.value }));
  byId("borough").addEventListener("change", (event) => chooseBorough(event.target.value));
  /* The other end gives way, so that the first week never comes after the last. */
  byId("from").addEventListener("input", (event) => chooseWeeks([+event.target.value, Math.max(+event.target.value, view.selection.to)]));
  byId("to").addEventListener("input", (event) => chooseWeeks([Math.min(+event.target.value, view.selection.from), +event.target.value]));
  byId("part-of-day").addEventListener("change", (event) => chooseHours(event.target.value === "all" ? null : event.target.value.split("-").map(Number)));
  byId("search").addEventListener("change", (event) => find(event.target.value));
  byId("search").addEventListener("input", () => byId("search").setCustomValidity(""));
  byId("compare").addEventListener("click", () => choose({ than: view.than ? null : view.selection }));
  byId("play").addEventListener("click", play);
  byId("csv").addEventListener("click", download);
  byId("print").addEventListener("click", () => print());
  byId("closer").addEventListener("click", () => map.zoomBy(1.6));
  byId("farther").addEventListener("click", () => map.zoomBy(1 / 1.6));
  byId("whole").addEventListener("click", fitShown);
  byId("reset").addEventListener("click", () => {
    byId("search").value = "";
    view = viewFromFragment("");
    fitShown();
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose({ zone: null });
  });
  addEventListener("hashchange", () => {
    view = viewFromFragment(location.hash.slice(1));
    show();
  });
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(show, 150);
  });
  show();
  fitShown();
}

start();
