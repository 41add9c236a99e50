/* The page: what is chosen, how it is chosen, and what shows it. */
"use strict";

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const rate = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const BUSIEST = 10;
const MILLISECONDS_A_WEEK = 700;
const MILLISECONDS_TO_ADDRESS = 100;
const WEEKDAY_NAMES = ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays"];

/* `than` is the selection that this one is compared with, or null. `zones` are ids; none stands for all that is shown. */
let view = viewFromFragment(location.hash.slice(1));
let playing = 0;
let awaited = 0;
let kept = 0;

/* Words. */

const words = (selection = view.selection) => ({ pickups: "pickups", net: "net pickups", dropoffs: "drop-offs" })[selection.count];
const fleetTitle = (key) => (key === "all" ? "all fleets" : data.fleets.find((fleet) => fleet.key === key).title);
const hour = (n) => `${String(n).padStart(2, "0")}:00`;
/* A change that is rounded to zero has no sign, because it may be either. */
function signed(change) {
  const text = Math.abs(100 * change).toFixed(Math.abs(change) < 0.1 ? 1 : 0);
  return `${Number(text) ? (change < 0 ? "−" : "+") : ""}${text}%`;
}
/* A border of classes. */
const short = (value) => (value < 1 ? String(Number(value.toPrecision(3))) : d3.format("~s")(value));
const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1%" : `${(100 * share).toFixed(1)}%`);

/* Ascending numbers as words: each range by its first and last. */
const inRanges = (numbers, range) =>
  rangesAsText(numbers)
    .split(".")
    .map((text) => text.split("-").map(Number))
    .map(([first, last = first]) => range(first, last))
    .join(" and ");
const weekdaysInWords = (weekdays) =>
  inRanges(weekdays, (first, last) => (first === last ? WEEKDAY_NAMES[first] : `${WEEKDAY_NAMES[first]} ${last === first + 1 ? "and" : "to"} ${WEEKDAY_NAMES[last]}`));
const hoursInWords = (hours) => inRanges(hours, (first, last) => `${hour(first)} to ${hour((last + 1) % 24)}`);

function when(selection) {
  if (!data.weeks.length) return "no weeks";
  const [from, to] = [data.weeks[selection.from], data.weeks[selection.to]];
  const parts = [from === to ? `week of ${from}` : `weeks of ${from} to ${to}`];
  if (selection.weekdays) parts.push(weekdaysInWords(selection.weekdays));
  if (selection.hours) parts.push(hoursInWords(selection.hours));
  return parts.join(", ");
}

const selectionInWords = (selection) => `${words(selection)} of ${fleetTitle(selection.fleet)}, ${when(selection)}`;
const place = () => (view.borough === "all" ? "New York" : boroughName(view.borough));
const isShown = (zone) => view.borough === "all" || zone.borough === view.borough;

/* Whether a zone's trips are in the charts: of those that are chosen, else of all that are shown. */
function isCounted(id) {
  if (view.zones.length) return view.zones.includes(id);
  return view.borough === "all" || zoneOf.get(id)?.borough === view.borough;
}

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
  onClick: (zone, isAdded) => chooseZone(zone, isAdded || byId("several").getAttribute("aria-pressed") === "true"),
  onLasso: (zones) => choose({ zones: withZones(view.zones, zones.filter(isShown)) }),
  onPoint: (event, zone) => point(event, zone && { label: `${zone.zone}, ${boroughName(zone.borough)}`, words: describe(zone) }),
});
const weeks = makeBars(byId("weeks"), { label: () => heading(), onBrush: (range, isMoving) => chooseBars(range, isMoving), onPoint: point });
const hours = makeBars(byId("hours"), { label: () => heading(), onBrush: (range, isMoving) => chooseHours(range && d3.range(range[0], range[1] + 1), isMoving), onPoint: point });
const heat = makeHeatMap(byId("heat"), byId("heat-key"), { label: () => heading(), onBrush: (range, isMoving) => chooseHeat(range, isMoving), onPoint: point });
const tables = [
  makeTable(byId("zones-table"), () => zoneRows()),
  makeTable(byId("weeks-table"), () => tableRows.weeks()),
  makeTable(byId("heat-table"), () => tableRows.heat()),
];
const years = makeYears(byId("years"), { bars: () => yearBars(), onPoint: point });
/* What gives the bars of the years: set when the weeks are drawn. */
let yearBars = () => [];
/* What gives the rows of the tables of the charts: set when the charts are drawn. */
const tableRows = { weeks: () => [], heat: () => [] };

function heading() {
  const names = view.zones.map((id) => zoneOf.get(id).zone);
  if (names.length === 1) return `${names[0]}, ${boroughName(zoneOf.get(view.zones[0]).borough)}`;
  if (names.length) return `${names.length} zones: ${names.slice(0, 3).join(", ")}${names.length > 3 ? " and others" : ""}`;
  return view.borough === "all" ? "All of New York" : place();
}

/* Draw what is chosen; `isMoving` while a brush moves. Numbers that are still packed are waited for. */
function show(isMoving = false) {
  if ([view.selection, view.than].some((each) => each && isPacked(each))) {
    document.querySelector("main").setAttribute("aria-busy", "true");
    return;
  }
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
    if (count && view.isPerArea) parts.push(`${rate.format(count / days / zone.km2)} a day and km²`);
    if (changes) parts.push(changes.get(zone.id) === null ? "too few to compare" : `${signed(changes.get(zone.id))} compared`);
    return parts.join(", ");
  };
  showWeeks();
  showHours();
  showWords(trips, ranked, everywhere, days);
  const ends = hasOwnZones() ? otherEnds(view.selection, countedZones()) : new Map();
  if (view.isOfEnds && hasOwnZones()) showEnds(ends);
  else if (changes) showDifferences(changes);
  else showCounts(trips, shown);
  showPairs(ends);
  showControls();
  for (const table of tables) table.show();
  if (!isMoving) keepInAddress();
  document.querySelector("main").removeAttribute("aria-busy");
}

/* The browser takes longer to change its address than the page to answer: it waits until nothing is chosen for a while. */
function keepInAddress() {
  clearTimeout(kept);
  kept = setTimeout(() => history.replaceState(null, "", `#${viewAsFragment(view)}`), MILLISECONDS_TO_ADDRESS);
}

function showCounts(trips, shown) {
  const days = Math.max(1, loadedDays(view.selection));
  const perDay = (zone) => (trips.get(zone.id) || 0) / days / perPlace(zone);
  const starts = roundClasses(shown.map(perDay));
  map.show((zone) => ({ shade: `s${shadeOf(perDay(zone), starts)}`, words: describe(zone) }), view.zones, isShown);
  const swatches = starts.map((start) => ({ shade: `s${shadeOf(start, starts)}`, words: short(start) }));
  showKey(byId("key"), `${words()} a day per ${placeInWords()}, from … on`, [{ shade: "s0", words: "none" }, ...swatches]);
}

/* What the trips of a zone are divided by, to be compared with those of others. */
const perPlace = (zone) => (view.isPerArea ? zone.km2 : 1);
const placeInWords = () => (view.isPerArea ? "km²" : "zone");

/* The ids of the zones whose trips are in the charts. */
const countedZones = () => data.zones.map((zone) => zone.id).filter(isCounted);

/* Whether it is about some zones, and not about the whole city. */
const hasOwnZones = () => view.zones.length > 0 || view.borough !== "all";

/* Every zone by how many trips of the chosen zones have their other end there. */
function showEnds(ends) {
  const all = sum(placed.map((zone) => ends.get(zone.id) || 0));
  const verb = endOf(view.selection) === "pickups" ? "end" : "begin";
  describe = (zone) => (ends.get(zone.id) ? `${number.format(ends.get(zone.id))} of their trips ${verb} here, ${percent(ends.get(zone.id) / all)}` : `none of their trips ${verb} here`);
  const shaded = (zone) => (ends.get(zone.id) || 0) / perPlace(zone);
  const starts = roundClasses(placed.map(shaded));
  map.show((zone) => ({ shade: `s${shadeOf(shaded(zone), starts)}`, words: describe(zone) }), view.zones, () => true);
  const swatches = starts.map((start) => ({ shade: `s${shadeOf(start, starts)}`, words: short(start) }));
  byId("summary").textContent = `The map shows ${number.format(all)} trips of the months ${pairMonthsInWords(view.selection)}, all weekdays and hours, where they ${verb}.`;
  showKey(byId("key"), `${endsTitle()}: trips per ${placeInWords()}, from … on`, [{ shade: "s0", words: "none" }, ...swatches]);
}

const endsTitle = () => (endOf(view.selection) === "pickups" ? `Where trips from ${heading()} end` : `Where trips to ${heading()} begin`);

function showPairs(ends) {
  byId("pairs-part").hidden = !hasOwnZones();
  byId("ends").setAttribute("aria-pressed", String(view.isOfEnds));
  if (!hasOwnZones()) return;
  const placedEnds = placed.filter((zone) => ends.get(zone.id)).sort((a, b) => ends.get(b.id) - ends.get(a.id) || a.id - b.id);
  const known = sum(placedEnds.map((zone) => ends.get(zone.id)));
  const others = sum([...ends.values()]) - known;
  const verb = endOf(view.selection) === "pickups" ? "end" : "begin";
  byId("pairs-title").textContent = endsTitle();
  const notes = [`${number.format(known + others)} trips${view.selection.count === "net" ? ", as published" : ""}, of the months ${pairMonthsInWords(view.selection)}${needsSlots(view.selection) ? ", all weekdays and hours" : ""}.`];
  if (others) notes.push(`Shares are of trips that ${verb} in a known zone; ${number.format(others)} more ${verb} in none.`);
  byId("pairs-note").textContent = notes.join(" ");
  const most = placedEnds.length ? ends.get(placedEnds[0].id) : 1;
  showList(
    byId("pairs"),
    placedEnds.slice(0, BUSIEST).map((zone) => ({
      name: zone.zone,
      number: `${number.format(ends.get(zone.id))}, ${percent(ends.get(zone.id) / known)}`,
      share: ends.get(zone.id) / most,
    })),
  );
}

function showDifferences(changes) {
  const shade = (zone) => (changes.get(zone.id) === null ? "s0" : `d${shadeOfChange(changes.get(zone.id))}`);
  map.show((zone) => ({ shade: shade(zone), words: describe(zone) }), view.zones, isShown);
  const starts = [`less than ${signed(CHANGES[0])}`, ...CHANGES.map((change) => `from ${signed(change)}`)];
  const what = comparesShares(view.selection, view.than) ? "share of the trips in known zones" : "trips per day";
  showKey(byId("key"), `Change of the ${what}`, [{ shade: "s0", words: "too few" }, ...starts.map((text, n) => ({ shade: `d${n + 1}`, words: text }))]);
}

/* Position of a bar of so many weeks → the words of its known events. They never change, so they are put together once. */
const knownEvents = new Map();

function eventsByBar(size, length) {
  if (!knownEvents.has(size)) {
    const words = (n) => data.events.filter((event) => event.from < (n + 1) * size && event.to >= n * size).map((event) => event.words);
    knownEvents.set(size, new Map(d3.range(length).map((n) => [n, words(n).join("; ")]).filter(([, text]) => text)));
  }
  return knownEvents.get(size);
}

function showWeeks() {
  const { selection, than } = view;
  const counted = tripsByWeek(selection, isCounted);
  /* Each bar has one week, or as many as are counted together. */
  const size = counted.length === data.weeks.length ? 1 : periodWeeks;
  const bars = counted.map((trips, n) => {
    const [first, last] = [n * size, Math.min(lastWeek, (n + 1) * size - 1)];
    const days = loadedDays({ ...selection, from: first, to: last });
    const all = (last - first + 1) * (selection.weekdays ? selection.weekdays.length : 7);
    const isWithin = (range) => first >= range.from && last <= range.to;
    return {
      name: size === 1 ? `Week of ${data.weeks[first]}` : `${last - first + 1} weeks from ${data.weeks[first]}`,
      start: data.weeks[first],
      trips,
      days,
      value: days ? trips / days : 0,
      words: `${size === 1 ? `Week of ${data.weeks[first]}` : `${last - first + 1} weeks from ${data.weeks[first]}`}: ${number.format(trips)} ${words()}, ${days ? `${rate.format(trips / days)} a day` : "no day loaded"}${days < all ? ` (${days} of ${all} days loaded)` : ""}`,
      isChosen: isWithin(selection),
      isPinned: Boolean(than && isWithin(than) && (than.from > 0 || than.to < lastWeek)),
      isPartial: days < all,
    };
  });
  const events = eventsByBar(size, bars.length);
  for (const [n, words] of events) bars[n].words += `. ${words}`;
  const every = Math.max(1, Math.ceil(bars.length / Math.floor(widthOf(byId("weeks")) / 90)));
  const ticks = d3.range(bars.length).map((n) => ({ n, text: data.weeks[n * size] })).filter(({ n }) => n % every === Math.floor(every / 2));
  const isAll = selection.from === 0 && selection.to === lastWeek;
  const notes = data.events.map((event) => [Math.floor(event.from / size), Math.floor(event.to / size)]);
  weeks.show(bars, ticks, isAll ? null : [Math.floor(selection.from / size), Math.floor(selection.to / size)], notes);
  byId("partial").hidden = !bars.some((bar) => bar.isPartial);
  byId("coarse").hidden = periodWeeks === 1;
  yearBars = () => bars.map((bar) => ({ ...bar, days: 7 * size, loaded: bar.days }));
  byId("years").hidden = bars[0]?.start.slice(0, 4) === bars.at(-1)?.start.slice(0, 4);
  years.show();
  tableRows.weeks = () => [["From", words(), "days loaded", `${words()} a day`, "known events"], ...bars.map((bar, n) => [bar.name, number.format(bar.trips), bar.days, bar.days ? rate.format(bar.value) : "", events.get(n) || ""])];
}

function showHours() {
  const { selection, than } = view;
  const counted = tripsByWeekdayAndHour(selection, isCounted);
  const whole = widened({ ...selection, weekdays: selection.weekdays || d3.range(SLOT_DAYS) });
  const isDay = (weekday) => !selection.weekdays || selection.weekdays.includes(weekday);
  const isHour = (n) => !selection.hours || selection.hours.includes(n);
  const days = loadedDays(whole);
  const bars = d3.range(24).map((n) => {
    const trips = sum(counted.map((row, weekday) => (isDay(weekday) ? row[n] : 0)));
    return {
      value: days ? trips / days : 0,
      words: `${hour(n)} to ${hour((n + 1) % 24)}: ${number.format(trips)} ${words()}, ${rate.format(days ? trips / days : 0)} a day`,
      isChosen: isHour(n),
      isPinned: Boolean(than && than.hours && than.hours.includes(n)),
    };
  });
  hours.show(bars, [0, 6, 12, 18].map((n) => ({ n, text: hour(n) })), endsOf(selection.hours));

  const daysOf = d3.range(SLOT_DAYS).map((weekday) => loadedDays({ ...whole, weekdays: [weekday] }));
  const cells = counted.flatMap((row, weekday) =>
    row.slice(0, 24).map((trips, n) => ({
      weekday,
      hour: n,
      value: daysOf[weekday] ? trips / daysOf[weekday] : 0,
      words: `${WEEKDAY_NAMES[weekday]}, ${hour(n)} to ${hour((n + 1) % 24)}: ${number.format(trips)} ${words()}, ${rate.format(daysOf[weekday] ? trips / daysOf[weekday] : 0)} a day`,
      isChosen: isDay(weekday) && isHour(n),
    })),
  );
  const [dayEnds, hourEnds] = [endsOf(selection.weekdays), endsOf(selection.hours)];
  const isBlock = needsSlots(selection) && (!selection.weekdays || dayEnds) && (!selection.hours || hourEnds);
  heat.show(cells, isBlock ? { weekdays: dayEnds || [0, 6], hours: hourEnds || [0, 23] } : null);
  tableRows.heat = () => [["Hour", ...WEEKDAY_NAMES], ...d3.range(24).map((n) => [hour(n), ...counted.map((row) => number.format(row[n]))])];
  const unknown = sum(counted.map((row, weekday) => (isDay(weekday) ? row[24] : 0)));
  byId("unknown-hours").hidden = !unknown;
  byId("unknown-hours").textContent = `${number.format(unknown)} more at an hour that was not published.`;
}

/* First and last of numbers without a gap, else null. */
const endsOf = (numbers) => (numbers && numbers.length && numbers.at(-1) - numbers[0] === numbers.length - 1 ? [numbers[0], numbers.at(-1)] : null);

function showWords(trips, ranked, everywhere, days) {
  const zones = view.zones.map((id) => zoneOf.get(id));
  const counted = zones.length ? sum(zones.map((zone) => trips.get(zone.id) || 0)) : everywhere;
  byId("chosen").textContent = heading();
  byId("chosen-numbers").textContent =
    zones.length === 1 ? describe(zones[0]) : `${number.format(counted)} ${words()}${days ? `, ${rate.format(counted / days)} a day` : ""}`;
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
    isChosen: view.zones.includes(each.id),
    onClick: () => {
      choose({ zones: [each.id] });
      byId("zone-list").querySelector("[aria-pressed=true]")?.focus();
    },
  }));
  showList(byId("zone-list"), busiest);
  byId("busiest-title").textContent = `The busiest zones of ${place()}`;
  showFlows(zones);
}

/* Of the borough that is shown, or that has all chosen zones. */
function showFlows(zones) {
  const own = [...new Set(zones.map((zone) => zone.borough))];
  const borough = own.length === 1 ? own[0] : view.borough;
  const everywhere = flowsOf(view.selection, borough);
  const flows = everywhere.filter(([name]) => boroughs.includes(name));
  const all = sum(flows.map(([, trips]) => trips));
  const others = sum(everywhere.map(([, trips]) => trips)) - all;
  const from = borough === "all" ? "" : ` ${endOf(view.selection) === "pickups" ? "from" : "to"} ${boroughName(borough)}`;
  const end = endOf(view.selection) === "pickups" ? "end" : "begin";
  byId("flows-title").textContent = `Where trips${from} ${end}`;
  const notes = [];
  const whole = [...(zones.length ? [borough === "all" ? "the whole city" : "the whole borough"] : []), ...(needsSlots(view.selection) ? ["all weekdays and hours"] : [])];
  if (whole.length) notes.push(`Of ${whole.join(", ")}.`);
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
  byId("per").value = view.isPerArea ? "km2" : "zone";
  document.body.dataset.embedded = String(view.isEmbedded);
  byId("whole-view").href = `#${viewAsFragment({ ...view, isEmbedded: false })}`;
  for (const [id, week] of [["from", selection.from], ["to", selection.to]]) {
    byId(id).value = week;
    byId(`${id}-week`).textContent = data.weeks[week] || "";
    byId(id).setAttribute("aria-valuetext", `week of ${data.weeks[week]}`);
  }
  byId("part-of-day").value = selection.hours ? rangesAsText(selection.hours) : "all";
  if (!byId("part-of-day").value) byId("part-of-day").value = "other";
  for (const button of byId("weekdays").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Boolean(selection.weekdays && selection.weekdays.includes(+button.value))));
  }
  byId("compare").textContent = view.than ? "Stop comparing" : "Compare with this";
  byId("compare").setAttribute("aria-pressed", String(Boolean(view.than)));
  byId("play").textContent = playing ? "Stop" : "Play the weeks";
}

/* Choosing. */

/* While a brush moves, what it chooses is drawn with the next frame, and not more often. */
function choose(what, isMoving = false) {
  view = { ...view, ...what };
  cancelAnimationFrame(awaited);
  if (isMoving) awaited = requestAnimationFrame(() => show(true));
  else show();
}

/* The whole city, or the borough that is shown. */
const fitShown = () => map.fit(view.borough === "all" ? [] : placed.filter(isShown));

const select = (what, isMoving = false) => choose({ selection: widened({ ...view.selection, ...what }) }, isMoving);

function chooseWeeks(range, isMoving = false) {
  select({ from: range ? range[0] : 0, to: range ? range[1] : lastWeek }, isMoving);
}

/* Bars have several weeks where weekdays or hours are chosen and the numbers are coarser. */
function chooseBars(range, isMoving) {
  const size = needsSlots(view.selection) ? periodWeeks : 1;
  chooseWeeks(range && [range[0] * size, Math.min(lastWeek, (range[1] + 1) * size - 1)], isMoving);
}

const chooseHours = (chosen, isMoving = false) => select({ hours: chosen && chosen.length < 24 ? chosen : null }, isMoving);

function chooseHeat(range, isMoving) {
  const all = ([first, last], length) => (last - first + 1 < length ? d3.range(first, last + 1) : null);
  select(range ? { weekdays: all(range.weekdays, SLOT_DAYS), hours: all(range.hours, 24) } : { weekdays: null, hours: null }, isMoving);
}

function chooseWeekday(weekday) {
  const chosen = new Set(view.selection.weekdays || []);
  if (!chosen.delete(weekday)) chosen.add(weekday);
  select({ weekdays: chosen.size && chosen.size < SLOT_DAYS ? [...chosen].sort((a, b) => a - b) : null });
}

/* Ids and the zones that join them, in the order of the ids. */
const withZones = (ids, zones) => [...new Set([...ids, ...zones.map((zone) => zone.id)])].sort((a, b) => a - b);

/* A zone alone, or with those that are chosen already; a chosen one is let go. */
function chooseZone(zone, isAdded) {
  const isChosen = view.zones.includes(zone.id);
  if (isAdded) choose({ zones: isChosen ? view.zones.filter((id) => id !== zone.id) : withZones(view.zones, [zone]) });
  else choose({ zones: isChosen && view.zones.length === 1 ? [] : [zone.id] });
}

function chooseBorough(borough) {
  choose({ borough, zones: view.zones.filter((id) => borough === "all" || zoneOf.get(id).borough === borough) });
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
  choose({ zones: [found.id], borough: isShown(found) ? view.borough : "all" });
  map.fit(placed.filter((zone) => zone.borough === found.borough));
}

function play() {
  if (playing) {
    clearInterval(playing);
    playing = 0;
    return show();
  }
  const step = needsSlots(view.selection) ? periodWeeks : 1;
  const length = view.selection.from === 0 && view.selection.to === lastWeek ? step : view.selection.to - view.selection.from + 1;
  const next = () => {
    const from = view.selection.to === lastWeek ? 0 : view.selection.from + step;
    select({ from, to: Math.min(lastWeek, from + length - 1) });
  };
  playing = setInterval(next, MILLISECONDS_A_WEEK);
  return select({ from: 0, to: Math.min(lastWeek, length - 1) });
}

/* The table behind the map: each zone that is shown. */
function zoneRows() {
  const [trips, days] = [tripsByZone(view.selection), loadedDays(view.selection)];
  const row = (zone) => {
    const perDay = (trips.get(zone.id) || 0) / days;
    const shown = (value) => (days ? rate.format(value) : "");
    return [zone.zone, boroughName(zone.borough), number.format(trips.get(zone.id) || 0), shown(perDay), shown(perDay / zone.km2)];
  };
  const shown = placed.filter(isShown).sort((a, b) => (trips.get(b.id) || 0) - (trips.get(a.id) || 0) || a.id - b.id);
  return [["Zone", "borough", words(), `${words()} a day`, "a day and km²"], ...shown.map(row)];
}

/* What is shown, as CSV: a row for each zone. */
function csv() {
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  if (view.isOfEnds && hasOwnZones()) return csvOfEnds(quoted);
  const columns = (selection) => {
    const [trips, days] = [tripsByZone(selection), loadedDays(selection)];
    const perDay = (zone) => (trips.get(zone.id) || 0) / days;
    const perArea = (zone) => (view.isPerArea ? [days ? (perDay(zone) / zone.km2).toFixed(3) : ""] : []);
    return (zone) => [trips.get(zone.id) || 0, days ? perDay(zone).toFixed(3) : "", ...perArea(zone)];
  };
  const now = columns(view.selection);
  const then = view.than ? columns(view.than) : () => [];
  const counted = ["trips", "trips_per_day", ...(view.isPerArea ? ["trips_per_day_and_km2"] : [])];
  const header = ["zone_id", "zone", "borough", ...counted, ...(view.than ? counted.map((name) => `compared_${name}`) : [])];
  const lines = placed.filter(isShown).map((zone) => [zone.id, quoted(zone.zone), quoted(zone.borough), ...now(zone), ...then(zone)].join(","));
  return `${[header.join(","), ...lines].join("\n")}\n`;
}

/* The other ends of the trips of the chosen zones: what the map shows then. */
function csvOfEnds(quoted) {
  const ends = otherEnds(view.selection, countedZones());
  const header = ["zone_id", "zone", "borough", endOf(view.selection) === "pickups" ? "trips_that_end_here" : "trips_that_begin_here"];
  const lines = placed.map((zone) => [zone.id, quoted(zone.zone), quoted(zone.borough), ends.get(zone.id) || 0].join(","));
  return `${[header.join(","), ...lines].join("\n")}\n`;
}

/* Save a file that is named after what is chosen. */
function save(blob, extension) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `zones ${selectionAsText(view.selection).replaceAll(",", " ")}.${extension}`;
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
  byId("one-hour").append(...d3.range(24).map((n) => option(n, `${hour(n)} to ${hour((n + 1) % 24)}`)));
  byId("part-of-day").addEventListener("change", (event) => chooseHours(event.target.value === "all" ? null : rangesFromText(event.target.value, 24)));
  for (const button of byId("weekdays").querySelectorAll("button")) button.addEventListener("click", () => chooseWeekday(+button.value));
  byId("several").addEventListener("click", () => byId("several").setAttribute("aria-pressed", String(byId("several").getAttribute("aria-pressed") !== "true")));
  byId("search").addEventListener("change", (event) => find(event.target.value));
  byId("search").addEventListener("input", () => byId("search").setCustomValidity(""));
  byId("compare").addEventListener("click", () => choose({ than: view.than ? null : view.selection }));
  byId("play").addEventListener("click", play);
  byId("csv").addEventListener("click", () => save(new Blob([csv()], { type: "text/csv" }), "csv"));
  byId("svg").addEventListener("click", () => save(new Blob([pictureAsSvg()], { type: "image/svg+xml" }), "svg"));
  byId("png").addEventListener("click", async () => save(await pictureAsPng(), "png"));
  byId("per").addEventListener("change", (event) => choose({ isPerArea: event.target.value === "km2" }));
  byId("ends").addEventListener("click", () => choose({ isOfEnds: !view.isOfEnds }));
  byId("print").addEventListener("click", () => print());
  byId("closer").addEventListener("click", () => map.zoomBy(1.6));
  byId("farther").addEventListener("click", () => map.zoomBy(1 / 1.6));
  byId("whole").addEventListener("click", fitShown);
  byId("reset").addEventListener("click", () => {
    byId("search").value = "";
    if (playing) play();
    choose(viewFromFragment(""));
    fitShown();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose({ zones: [] });
  });
  addEventListener("hashchange", () => {
    choose(viewFromFragment(location.hash.slice(1)));
  });
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => {
      widths.clear();
      show();
    }, 150);
  });
  fitShown();
  unpackAll();
}

/* What is shown first is unpacked first; the rest follows, and each part is shown when it is there. */
async function unpackAll() {
  try {
    const isWanted = (n) => fleetsOf(view.selection).includes(data.blocks[n].fleet) && signedCounts(view.selection).some(([count]) => count === data.blocks[n].count);
    const rest = new Set(data.blocks.keys());
    while (rest.size) {
      const next = [...rest].find(isWanted) ?? [...rest][0];
      rest.delete(next);
      await unpackBlock(next);
      if (document.querySelector("main").hasAttribute("aria-busy")) show();
    }
    show();
    document.body.dataset.unpacked = "all";
  } catch (error) {
    byId("summary").textContent = `The numbers can't be unpacked (${error.message}). The page needs a browser of 2023 or later.`;
  }
}

start();
