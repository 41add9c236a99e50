/* What follows from what is chosen: sums, rates per day, classes and differences. Nothing here is drawn. */
"use strict";

/**
 * What is counted. `net` are pickups without both rows of voids. Weeks are positions in `data.weeks`, weekdays begin with
 * Sunday; null is all of them, and hours that are not known with them.
 * @typedef {{ count: "pickups" | "net" | "dropoffs", fleet: string, from: number, to: number, weekdays: number[] | null, hours: number[] | null }} Choice
 */

const data = JSON.parse(document.getElementById("data").textContent);
const lastWeek = Math.max(0, data.weeks.length - 1);
const placed = data.zones.filter((zone) => zone.path);
const zoneOf = new Map(data.zones.map((zone) => [zone.id, zone]));
const boroughs = [...new Set(placed.map((zone) => zone.borough))].sort();
const boroughName = (borough) => data.borough_titles[borough] || borough;

const NUM_SHADES = 8;
const ROUND = [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9];
const LEAST_POWER = -3;
const BUSY_CLASSES = 7;
const MOST_OF_THE_BUSY = 5;
const CHANGES = [-0.5, -0.2, -0.05, 0.05, 0.2, 0.5];
/* With fewer trips in both selections a change is chance. */
const FEW = 10;

const sum = (values, from = 0, to = values.length - 1) => {
  let total = 0;
  for (let n = from; n <= to; n++) total += values[n];
  return total;
};

/* The numbers, as blocks are unpacked: by fleet, count, and whether hours are told apart. */
const cubes = new Map();
const cubeName = (fleet, count, isWeekly) => `${fleet} ${count} ${isWeekly ? "weeks" : "slots"}`;
/* How many weeks a period has in the numbers with hours. */
const periodWeeks = data.weeks_per_period;
const periodOf = (week) => Math.floor(week / periodWeeks);

async function unpackBlock(n) {
  const header = data.blocks[n];
  const text = document.getElementById(`block-${n}`);
  const bytes = await unpacked(text.textContent);
  text.remove();
  if (header.count === "pairs") pairsOf.set(header.fleet, new Pairs(header, bytes));
  else cubes.set(cubeName(header.fleet, header.count, !header.hours), new Cube(header, bytes));
}

const fleetsOf = (selection) => (selection.fleet === "all" ? data.fleets.map((fleet) => fleet.key) : [selection.fleet]);

/* The end of the trips that is counted. */
const endOf = (selection) => (selection.count === "dropoffs" ? "dropoffs" : "pickups");

/* The names of what is counted with a sign: voids are taken away. */
const signedCounts = (selection) => ({ pickups: [["pickups", 1]], dropoffs: [["dropoffs", 1]], net: [["pickups", 1], ["voids", -1]] })[selection.count];

/* Whether the numbers of a selection are still packed. */
const isPacked = (selection) =>
  data.blocks.some((header) => fleetsOf(selection).includes(header.fleet) && signedCounts(selection).some(([count]) => count === header.count) && !cubes.has(cubeName(header.fleet, header.count, !header.hours)));

/** The cubes that are added up, each with its sign. @returns {[Cube, number][]} */
function cubesOf(selection, isWeekly = false) {
  /** @type {[Cube, number][]} */
  const found = [];
  for (const fleet of fleetsOf(selection)) {
    for (const [count, sign] of signedCounts(selection)) {
      const cube = cubes.get(cubeName(fleet, count, isWeekly && periodWeeks > 1));
      if (cube) found.push([cube, sign]);
    }
  }
  return found;
}

/* Whether weekdays or hours are chosen: only numbers with hours answer then. */
const needsSlots = (selection) => Boolean(selection.weekdays || selection.hours);

/** The same selection of whole periods, where numbers with hours are coarser than weeks. @param {Choice} selection */
function widened(selection) {
  if (periodWeeks === 1 || !needsSlots(selection)) return selection;
  return { ...selection, from: periodOf(selection.from) * periodWeeks, to: Math.min(lastWeek, (periodOf(selection.to) + 1) * periodWeeks - 1) };
}

/** The slots of a cube that are chosen. @param {Cube} cube @returns {number[]} */
function slotsOf(cube, weekdays, hours) {
  if (!cube.hours) return [0];
  const slots = [];
  for (let slot = 0; slot < cube.slots; slot++) {
    const [weekday, hour] = [Math.floor(slot / cube.hours), slot % cube.hours];
    if ((!weekdays || weekdays.includes(weekday)) && (!hours || hours.includes(hour))) slots.push(slot);
  }
  return slots;
}

/** Zone id → its trips. @param {Choice} selection @returns {Map<number, number>} */
function tripsByZone(selection) {
  const isWeekly = !needsSlots(selection);
  const found = new Map();
  for (const [cube, sign] of cubesOf(selection, isWeekly)) {
    const slots = slotsOf(cube, selection.weekdays, selection.hours);
    const [from, to] = cube.hours ? [periodOf(selection.from), periodOf(selection.to)] : [selection.from, selection.to];
    const bySlot = cube.bySlot(from, to);
    for (const id of cube.zones) {
      const first = id * cube.slots;
      let trips = 0;
      for (let n = 0; n < slots.length; n++) trips += bySlot[first + slots[n]];
      found.set(id, (found.get(id) || 0) + sign * trips);
    }
  }
  return found;
}

/**
 * Trips of some zones by week, or by period where a period has several weeks and weekdays or hours are chosen; of all
 * weeks.
 * @returns {number[]}
 */
function tripsByWeek(selection, isWanted) {
  const isWeekly = !needsSlots(selection);
  const length = isWeekly || periodWeeks === 1 ? data.weeks.length : periodOf(lastWeek) + 1;
  const total = new Array(length).fill(0);
  for (const [cube, sign] of cubesOf(selection, isWeekly)) {
    const byPeriod = cube.byPeriod(isWanted, isWeekly ? null : slotsOf(cube, selection.weekdays, selection.hours));
    for (let n = 0; n < length; n++) total[n] += sign * byPeriod[n];
  }
  return total;
}

/** Trips of some zones by weekday and hour, of the chosen weeks. @returns {number[][]} the last hour is the unknown one */
function tripsByWeekdayAndHour(selection, isWanted) {
  const total = Array.from({ length: SLOT_DAYS }, () => new Array(25).fill(0));
  for (const [cube, sign] of cubesOf(selection)) {
    const bySlot = cube.bySlot(periodOf(selection.from), periodOf(selection.to));
    for (const id of cube.zones) {
      if (!isWanted(id)) continue;
      for (let slot = 0, at = id * cube.slots; slot < cube.slots; slot++, at++) {
        total[Math.floor(slot / cube.hours)][slot % cube.hours] += sign * bySlot[at];
      }
    }
  }
  return total;
}

/** Loaded days of a week that are chosen. @param {number} week @param {number[] | null} weekdays */
function loadedDaysOf(fleet, week, weekdays) {
  const loaded = (data.days[fleet] || [])[week] || 0;
  let days = 0;
  for (let n = 0; n < SLOT_DAYS; n++) days += loaded & (1 << n) && (!weekdays || weekdays.includes(n)) ? 1 : 0;
  return days;
}

function loadedDays({ fleet, from, to, weekdays }) {
  let days = 0;
  for (let week = from; week <= to; week++) days += loadedDaysOf(fleet, week, weekdays);
  return days;
}

/* Where trips from a borough end, or trips to it begin: borough → trips. Weekdays and hours are not known here. */
function flowsOf(selection, borough) {
  const [here, there] = endOf(selection) === "pickups" ? [0, 1] : [1, 0];
  const found = new Map();
  for (const fleet of fleetsOf(selection)) {
    for (const flow of data.flows[fleet]) {
      if (borough !== "all" && flow[here] !== borough) continue;
      found.set(flow[there], (found.get(flow[there]) || 0) + sum(flow[2], selection.from, selection.to));
    }
  }
  return [...found].filter(([, trips]) => trips).sort((a, b) => b[1] - a[1]);
}

/* The same rule as `palette.py`: the least value of up to eight classes. One is for the half with fewer trips; in the busy
   half each border is about as many times the one before it, as far as no class has more than a fifth of that half. */
function roundClasses(counts) {
  const ranked = counts.filter((count) => count > 0).sort((a, b) => a - b);
  if (!ranked.length) return [];
  const busy = busyStarts(ranked.slice(Math.floor(ranked.length / 2)));
  const least = roundedDown(ranked[0]);
  return least < busy[0] ? [least, ...busy] : busy;
}

/* The borders with the fewest counts beyond a fifth in a class, then with the smallest factor from border to border. */
function busyStarts(ranked) {
  const borders = [...new Set(ranked.map(roundedDown))].sort((a, b) => a - b);
  const before = borders.map((border, n) => (n ? d3.bisectLeft(ranked, border) : 0));
  const most = Math.floor(ranked.length / MOST_OF_THE_BUSY);
  const beyond = (counts) => Math.max(0, counts - most);
  /* For each border as the start of the last so many classes: what is the worst of them, and where the next begins. */
  const best = [borders.map((border, n) => [beyond(ranked.length - before[n]), ranked.at(-1) / border, n])];
  while (best.length < Math.min(BUSY_CLASSES, borders.length)) {
    const last = best.at(-1);
    const end = borders.length - best.length;
    best.push(
      borders.slice(0, end).map((border, n) => {
        let found = [Infinity, Infinity, -1];
        for (let after = n + 1; after <= end; after++) {
          const excess = Math.max(beyond(before[after] - before[n]), last[after][0]);
          const factor = Math.max(borders[after] / border, last[after][1]);
          if (excess < found[0] || (excess === found[0] && factor < found[1])) found = [excess, factor, after];
        }
        return found;
      }),
    );
  }
  const starts = [borders[0]];
  let n = 0;
  for (const later of best.slice(1).reverse()) {
    n = later[n][2];
    starts.push(borders[n]);
  }
  return starts;
}

function roundedDown(count) {
  let power = LEAST_POWER;
  while (timesTenTo(1, power + 1) <= count) power += 1;
  return Math.max(0.001, ...ROUND.map((factor) => timesTenTo(factor, power)).filter((number) => number <= count));
}

const timesTenTo = (factor, power) => (power >= 0 ? factor * 10 ** power : factor / 10 ** -power);

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
