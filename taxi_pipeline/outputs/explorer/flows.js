/* Trips from zone to zone: unpacked, and added up for the zones that are chosen. By month or coarser, of all weekdays and
   hours. Nothing here is drawn. */
"use strict";

/** @typedef {{ fleet: string, count: "pairs", pairs: number, periods: number, width: number }} PairsHeader */

class Pairs {
  /** @param {PairsHeader} header @param {Uint8Array} bytes */
  constructor(header, bytes) {
    const { pairs, periods, width } = header;
    this.periods = periods;
    this.pickups = rowOf(bytes, 0, pairs, 2);
    this.dropoffs = rowOf(bytes, 2 * pairs, pairs, 2);
    this.trips = rowOf(bytes, 4 * pairs, pairs * periods, width);
    if (4 * pairs + pairs * periods * width !== bytes.length) throw new Error(`${bytes.length} bytes of pairs of ${header.fleet}`);
  }

  /**
   * Add the trips of some zones, of periods from the first to the last, at their other end: zone id → trips.
   * @param {"pickups" | "dropoffs"} end which end of a trip lies in these zones
   * @param {(id: number) => boolean} isWanted @param {number} first @param {number} last @param {Map<number, number>} found
   */
  addTo(found, end, isWanted, first, last) {
    const [here, there] = end === "pickups" ? [this.pickups, this.dropoffs] : [this.dropoffs, this.pickups];
    for (let pair = 0; pair < here.length; pair++) {
      if (!isWanted(here[pair])) continue;
      let trips = 0;
      for (let n = pair * this.periods + first; n <= pair * this.periods + last; n++) trips += this.trips[n];
      if (trips) found.set(there[pair], (found.get(there[pair]) || 0) + trips);
    }
  }
}

/* By fleet, as they are unpacked. */
const pairsOf = new Map();

/* Months since the first one, of the days of a choice of weeks. */
function monthsOf(selection) {
  const month = (day) => 12 * day.getUTCFullYear() + day.getUTCMonth();
  const dayOf = (week, days) => new Date(Date.parse(data.weeks[week]) + days * 86_400_000);
  const first = month(dayOf(0, 0));
  const within = (n) => Math.max(0, Math.min(data.num_months - 1, n));
  return [within(month(dayOf(selection.from, 0)) - first), within(month(dayOf(selection.to, 6)) - first)];
}

/* The periods of these months. */
const pairPeriodsOf = (selection) => monthsOf(selection).map((month) => Math.floor(month / data.months_per_period));

/* The first and the last month that are counted, as text. */
function pairMonthsInWords(selection) {
  const [first, last] = pairPeriodsOf(selection);
  const start = 12 * Number(data.weeks[0].slice(0, 4)) + Number(data.weeks[0].slice(5, 7)) - 1;
  const text = (n) => `${Math.floor((start + n) / 12)}-${String(((start + n) % 12) + 1).padStart(2, "0")}`;
  const [from, to] = [first * data.months_per_period, Math.min(data.num_months, (last + 1) * data.months_per_period) - 1];
  return from === to ? text(from) : `${text(from)} to ${text(to)}`;
}

/* What was added up last, and of what: weekdays and hours change nothing here. */
let lastEnds = { of: "", ends: new Map() };

/**
 * Where the trips of some zones end, or where those that end there begin: zone id → trips.
 * @param {Choice} selection @param {number[]} zones ids @returns {Map<number, number>}
 */
function otherEnds(selection, zones) {
  const [first, last] = pairPeriodsOf(selection);
  const of = [selection.fleet, endOf(selection), first, last, pairsOf.size, ...zones].join(" ");
  if (of === lastEnds.of) return lastEnds.ends;
  const wanted = new Uint8Array(NUM_ZONE_IDS);
  for (const id of zones) wanted[id] = 1;
  const ends = new Map();
  for (const fleet of fleetsOf(selection)) {
    pairsOf.get(fleet)?.addTo(ends, endOf(selection), (id) => wanted[id] === 1, first, last);
  }
  lastEnds = { of, ends };
  return ends;
}
