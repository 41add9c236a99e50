/* What follows from what is chosen: sums, rates per day, classes and differences. Nothing here is drawn. */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const lastWeek = Math.max(0, data.weeks.length - 1);
const placed = data.zones.filter((zone) => zone.path);
const zoneOf = new Map(data.zones.map((zone) => [zone.id, zone]));
const boroughs = [...new Set(placed.map((zone) => zone.borough))].sort();
const boroughName = (borough) => data.borough_titles[borough] || borough;

const NUM_SHADES = 8;
const ROUND = [1, 2, 3, 5, 7];
const CHANGES = [-0.5, -0.2, -0.05, 0.05, 0.2, 0.5];
/* With fewer trips in both selections a change is chance. */
const FEW = 10;

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

/* A selection is { count: "pickups", "net" (pickups without both rows of voids) or "dropoffs", fleet: key or "all", from, to: weeks, hours: [first, last] or null }.
   With hours it has all weeks: trips are counted by week or by hour, not by both. */

const fleetsOf = (selection) => (selection.fleet === "all" ? data.fleets.map((fleet) => fleet.key) : [selection.fleet]);

/* The end of the trips that is counted. */
const endOf = (selection) => (selection.count === "dropoffs" ? "dropoffs" : "pickups");

/* Zone id → its trips per week or per hour. */
function rowsOf(selection, kind) {
  const found = new Map();
  for (const fleet of fleetsOf(selection)) {
    for (const [id, values] of Object.entries(data[kind][endOf(selection)][fleet])) {
      const before = found.get(+id);
      found.set(+id, before ? added([before, values], values.length) : values);
    }
    if (selection.count !== "net") continue;
    for (const [id, voids] of Object.entries(data[kind].voids[fleet])) {
      if (found.has(+id)) found.set(+id, found.get(+id).map((trips, n) => trips - voids[n]));
    }
  }
  return found;
}

/* Zone id → its trips. */
function tripsByZone(selection) {
  const [kind, from, to] = selection.hours ? ["hourly", ...selection.hours] : ["weekly", selection.from, selection.to];
  const found = new Map();
  for (const [id, values] of rowsOf(selection, kind)) found.set(id, sum(values, from, to));
  return found;
}

function loadedDays(selection) {
  const days = data.days[selection.fleet] || [];
  return selection.hours ? sum(days) : sum(days, selection.from, selection.to);
}

/* Trips per week or hour of one zone, or of all zones of a borough, or of all. */
function seriesOf(selection, kind, length, zone, borough) {
  const rows = rowsOf(selection, kind);
  if (zone !== null) return rows.get(zone) || new Array(length).fill(0);
  const shown = borough === "all" ? [...rows.values()] : [...rows].filter(([id]) => zoneOf.get(id).borough === borough).map(([, row]) => row);
  return added(shown, length);
}

/* Where trips from a borough end, or trips to it begin: borough → trips. Hours are not known here. */
function flowsOf(selection, borough) {
  const [here, there] = endOf(selection) === "pickups" ? [0, 1] : [1, 0];
  const [from, to] = selection.hours ? [0, lastWeek] : [selection.from, selection.to];
  const found = new Map();
  for (const fleet of fleetsOf(selection)) {
    for (const flow of data.flows[fleet]) {
      if (borough !== "all" && flow[here] !== borough) continue;
      found.set(flow[there], (found.get(flow[there]) || 0) + sum(flow[2], from, to));
    }
  }
  return [...found].filter(([, trips]) => trips).sort((a, b) => b[1] - a[1]);
}

/* The same rule as `classes.py`: the least count of up to eight classes with about as many zones in each. */
function roundClasses(counts) {
  const ranked = counts.filter((count) => count > 0).sort((a, b) => a - b);
  const starts = new Set();
  for (let n = 0; ranked.length && n < NUM_SHADES; n++) starts.add(roundedDown(ranked[Math.floor((ranked.length * n) / NUM_SHADES)]));
  return [...starts].sort((a, b) => a - b);
}

function roundedDown(count) {
  let power = 1;
  while (10 * power <= count) power *= 10;
  return Math.max(1, ...ROUND.map((factor) => factor * power).filter((number) => number <= count));
}

/* From 1 for few to 8 for many; 0 for nothing. */
function shadeOf(count, starts) {
  if (!count || !starts.length) return 0;
  const position = Math.max(0, d3.bisectRight(starts, count) - 1);
  return 1 + Math.floor(((NUM_SHADES - 1) * position) / Math.max(1, starts.length - 1) + 0.5);
}

/* Whether two selections are compared by each zone's share of the trips in known zones, and not by trips per day. */
const comparesShares = (one, other) => one.fleet !== other.fleet || endOf(one) !== endOf(other);

/* Zone id → how much more it has than in the other selection (0.1: a tenth more); null where there are too few trips. */
function changesByZone(one, other) {
  const [now, then] = [tripsByZone(one), tripsByZone(other)];
  const shares = comparesShares(one, other);
  const inZones = (trips) => sum(placed.map((zone) => trips.get(zone.id) || 0));
  const [whole, wholeThen] = shares ? [inZones(now), inZones(then)] : [loadedDays(one), loadedDays(other)];
  const found = new Map();
  for (const zone of placed) {
    const [trips, before] = [now.get(zone.id) || 0, then.get(zone.id) || 0];
    const few = trips + before < FEW || !before || !whole || !wholeThen;
    found.set(zone.id, few ? null : trips / whole / (before / wholeThen) - 1);
  }
  return found;
}

/* From 1 for much less to 7 for much more. */
const shadeOfChange = (change) => 1 + d3.bisectRight(CHANGES, change);
