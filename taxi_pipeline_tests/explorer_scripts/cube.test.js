/* Sums out of packed numbers, compared with sums out of the numbers themselves. */
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { scripts } = require("./load.js");

const { Cube, Pairs } = scripts(["Cube", "Pairs"]);
const [SLOTS, PERIODS] = [7 * 24, 37];

let seed = 7;
const below = (limit) => (seed = (seed * 16807) % 2147483647) % limit;

/* Zones with their numbers, and the bytes that `cube.py` writes of them. */
function drawn() {
  const zones = [3, 7, 200, 264];
  const widths = [1, 2, 4, 1];
  const numbers = new Map(zones.map((id, n) => [id, Array.from({ length: SLOTS * PERIODS }, () => below(2 ** (8 * widths[n]) > 2 ** 31 ? 2 ** 20 : 2 ** (8 * widths[n])))]));
  const bytes = [];
  zones.forEach((id, n) => {
    for (let part = 0; part < widths[n]; part++) for (const number of numbers.get(id)) bytes.push(Math.floor(number / 256 ** part) % 256);
  });
  return { numbers, cube: new Cube({ fleet: "green", count: "pickups", hours: 24, periods: PERIODS, zones, widths }, new Uint8Array(bytes)) };
}

test("trips by zone and slot, of any range of periods", () => {
  const { numbers, cube } = drawn();
  const ranges = [[0, PERIODS - 1], [0, 0], [15, 16], [16, 31], [32, 36], ...Array.from({ length: 20 }, () => [below(PERIODS), below(PERIODS)].sort((a, b) => a - b))];
  for (const [first, last] of ranges) {
    const found = cube.bySlot(first, last);
    for (const [id, all] of numbers) {
      for (const slot of [0, 1, 100, SLOTS - 1]) {
        const expected = all.slice(slot * PERIODS + first, slot * PERIODS + last + 1).reduce((one, other) => one + other, 0);
        assert.equal(found[id * SLOTS + slot], expected % 2 ** 32);
      }
    }
  }
});

test("trips by period, of any zones and slots after any others", () => {
  const { numbers, cube } = drawn();
  const everySlot = Array.from({ length: SLOTS }, (_, slot) => slot);
  const choices = [null, everySlot, [5], [5, 6, 100], [], null, [6, 7]];
  for (const wanted of [[3, 7, 200, 264], [3], [3, 7], [], [264], [3, 200, 264], [7, 200, 264], [3, 7, 200, 264]]) {
    for (const slots of choices) {
      const found = cube.byPeriod((id) => wanted.includes(id), slots);
      for (let period = 0; period < PERIODS; period++) {
        const trips = wanted.flatMap((id) => (slots ?? everySlot).map((slot) => numbers.get(id)[slot * PERIODS + period]));
        assert.equal(found[period], trips.reduce((one, other) => one + other, 0) % 2 ** 32);
      }
    }
  }
});

test("bytes that are cut off are no numbers", () => {
  const header = { fleet: "green", count: "pickups", hours: 24, periods: 1, zones: [3], widths: [1] };
  assert.throws(() => new Cube(header, new Uint8Array(SLOTS + 1)), /169 bytes of pickups of green, and not 168/);
  assert.throws(() => new Pairs({ fleet: "green", count: "pairs", pairs: 1, periods: 1, width: 1 }, new Uint8Array(4)), /4 bytes/);
});

test("pairs of zones are added up at their other end", () => {
  const pairs = new Pairs({ fleet: "green", count: "pairs", pairs: 3, periods: 2, width: 1 }, new Uint8Array([3, 3, 8, 0, 0, 1, 3, 4, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6]));
  const ends = (end, id, first, last) => {
    const found = new Map();
    pairs.addTo(found, end, (each) => each === id, first, last);
    return [...found];
  };
  assert.deepEqual(ends("pickups", 3, 0, 1), [[3, 3], [4, 7]]);
  assert.deepEqual(ends("pickups", 264, 1, 1), [[3, 6]]);
  assert.deepEqual(ends("dropoffs", 3, 0, 0), [[3, 1], [264, 5]]);
});
