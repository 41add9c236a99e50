/* The packed numbers of a fleet and kind of count: unpacked, and added up over zones, slots and periods.

A slot is a weekday and an hour (weekday times hours plus hour), a period some weeks. Nothing here knows the page.
`cube.py` writes what is read here. */
"use strict";

/**
 * @typedef {{ fleet: string, count: string, hours: number, periods: number, zones: number[], widths: number[] }} Header
 * @typedef {Uint8Array | Uint16Array | Uint32Array} Row
 */

const SLOT_DAYS = 7;
const NUM_ZONE_IDS = 266;
/* Sums are kept up to each so many periods: a range is then read from its ends. */
const STRIDE = 4;
const NO_ZONE = new Uint8Array(NUM_ZONE_IDS);

/** @param {string} text @returns {Promise<Uint8Array>} */
async function unpacked(text) {
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let n = 0; n < letters.length; n++) packed[n] = letters.charCodeAt(n);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A row of numbers whose low bytes come first. @param {Uint8Array} bytes @returns {Row} */
function rowOf(bytes, start, length, width) {
  if (width === 1) return bytes.subarray(start, start + length);
  const row = width === 2 ? new Uint16Array(length) : new Uint32Array(length);
  for (let part = 0; part < width; part++) {
    const factor = 2 ** (8 * part);
    for (let n = 0, at = start + part * length; n < length; n++, at++) row[n] += factor * bytes[at];
  }
  return row;
}

class Cube {
  /** @param {Header} header @param {Uint8Array} bytes */
  constructor(header, bytes) {
    this.hours = header.hours;
    this.slots = header.hours ? SLOT_DAYS * header.hours : 1;
    this.periods = header.periods;
    this.zones = header.zones;
    /** @type {(Row | undefined)[]} by zone id */
    this.rows = new Array(NUM_ZONE_IDS);
    const length = this.slots * this.periods;
    let start = 0;
    header.zones.forEach((id, n) => {
      this.rows[id] = rowOf(bytes, start, length, header.widths[n]);
      start += length * header.widths[n];
    });
    if (start !== bytes.length) throw new Error(`${bytes.length} bytes of ${header.count} of ${header.fleet}, and not ${start}`);
    this.#addUp(length);
  }

  /* Of each row: the sums up to each STRIDE, and by period; and the sum of all rows. */
  #addUp(length) {
    this.marks = Math.floor(this.periods / STRIDE) + 1;
    /** @type {(Uint32Array | undefined)[]} */
    this.sums = new Array(NUM_ZONE_IDS);
    /** @type {(Uint32Array | undefined)[]} */
    this.totals = new Array(NUM_ZONE_IDS);
    this.all = new Uint32Array(length);
    for (const id of this.zones) {
      const [row, sums, totals] = [this.rows[id], new Uint32Array(this.slots * this.marks), new Uint32Array(this.periods)];
      for (let slot = 0, at = 0, mark = 0; slot < this.slots; slot++) {
        let total = 0;
        for (let period = 0; period < this.periods; period++, at++) {
          if (period % STRIDE === 0) sums[mark++] = total;
          total += row[at];
          totals[period] += row[at];
          this.all[at] += row[at];
        }
        if (this.periods % STRIDE === 0) sums[mark++] = total;
      }
      this.sums[id] = sums;
      this.totals[id] = totals;
    }
    /* What `byPeriod` has added up last in each slot: the rows of these zones. It begins with all. */
    this.cells = this.all.slice();
    this.everyZone = this.#flagsOf(() => true);
    this.wanted = this.everyZone;
    this.zonesIn = new Array(this.slots).fill(this.everyZone);
    this.range = [-1, -1];
    this.bySlotOf = new Uint32Array(NUM_ZONE_IDS * this.slots);
  }

  /**
   * Trips by zone and slot, of periods from the first to the last: the number at zone id times slots plus slot.
   * @param {number} first @param {number} last @returns {Uint32Array} valid until it is asked again
   */
  bySlot(first, last) {
    if (this.range[0] === first && this.range[1] === last) return this.bySlotOf;
    this.range = [first, last];
    for (const id of this.zones) {
      this.#rangeOf(this.rows[id], this.sums[id], first, last + 1, this.bySlotOf.subarray(id * this.slots, (id + 1) * this.slots));
    }
    return this.bySlotOf;
  }

  /* The sum of a range of each slot, out of the sums up to the nearest marks before its ends. */
  #rangeOf(row, sums, from, to, found) {
    const { slots, periods, marks } = this;
    const [fromMark, toMark] = [Math.floor(from / STRIDE), Math.floor(to / STRIDE)];
    const isOneMark = fromMark === toMark;
    for (let slot = 0, at = 0, mark = 0; slot < slots; slot++, at += periods, mark += marks) {
      let total = isOneMark ? 0 : sums[mark + toMark] - sums[mark + fromMark];
      const start = isOneMark ? from : toMark * STRIDE;
      for (let n = at + start; n < at + to; n++) total += row[n];
      if (!isOneMark) for (let n = at + fromMark * STRIDE; n < at + from; n++) total -= row[n];
      found[slot] = total;
    }
  }

  /**
   * Trips by period of some zones, in these slots or in all of them (null).
   * @param {(id: number) => boolean} isWanted @param {number[] | null} slots @returns {Uint32Array}
   */
  byPeriod(isWanted, slots) {
    const found = new Uint32Array(this.periods);
    if (!slots) {
      for (const id of this.zones) if (isWanted(id)) addTo(found, 0, this.totals[id], 0, this.periods, 1);
      return found;
    }
    const wanted = this.#flagsOf(isWanted);
    /* The same zones stay the same array, which tells a slot that has them already. */
    if (wanted.some((flag, id) => flag !== this.wanted[id])) this.wanted = wanted;
    for (const slot of slots) {
      this.#bringZones(slot, this.zonesIn[slot], this.wanted);
      this.zonesIn[slot] = this.wanted;
      addTo(found, 0, this.cells, slot * this.periods, this.periods, 1);
    }
    return found;
  }

  /** By zone id: 1 for those that are wanted and have trips. @param {(id: number) => boolean} isWanted */
  #flagsOf(isWanted) {
    const flags = new Uint8Array(NUM_ZONE_IDS);
    for (const id of this.zones) flags[id] = Number(isWanted(id));
    return flags;
  }

  /* Make the cells of a slot, which have the zones of `had`, have those of `wanted`. */
  #bringZones(slot, had, wanted) {
    if (had === wanted) return;
    const [start, length] = [slot * this.periods, this.periods];
    let [steps, count] = [0, 0];
    for (const id of this.zones) {
      steps += Number(had[id] !== wanted[id]);
      count += wanted[id];
    }
    /* From what is there, from all or from nothing: whichever has fewest rows to add or to take away. */
    let from = had;
    if (this.zones.length - count < Math.min(steps, count)) {
      from = this.everyZone;
      this.cells.set(this.all.subarray(start, start + length), start);
    } else if (count < steps) {
      from = NO_ZONE;
      this.cells.fill(0, start, start + length);
    }
    for (const id of this.zones) {
      if (from[id] !== wanted[id]) addTo(this.cells, start, this.rows[id], start, length, wanted[id] ? 1 : -1);
    }
  }
}

/** Add so many numbers to others, each from a place on. @param {Uint32Array} sums @param {Row} row @param {1 | -1} sign */
function addTo(sums, at, row, start, length, sign) {
  if (sign > 0) for (let n = 0; n < length; n++) sums[at + n] += row[start + n];
  else for (let n = 0; n < length; n++) sums[at + n] -= row[start + n];
}
