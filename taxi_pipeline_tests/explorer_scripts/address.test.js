/* A view in the page's address comes back the same, and what is no view becomes the default. */
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { scripts } = require("./load.js");

const NAMES = ["viewAsFragment", "viewFromFragment", "rangesAsText", "rangesFromText", "loadedDays", "roundClasses", "pairMonthsInWords"];
/* Values of the other context, as values of this one. */
const plain = (value) => JSON.parse(JSON.stringify(value));

test("a view comes back the same", () => {
  const { viewAsFragment, viewFromFragment } = scripts(NAMES);
  const selection = { count: "net", fleet: "green", from: 1, to: 3, weekdays: [0, 5, 6], hours: [0, 1, 2, 22, 23] };
  const than = { count: "dropoffs", fleet: "all", from: 0, to: 4, weekdays: null, hours: null };
  for (const view of [
    { selection, than, borough: "Manhattan", isOfEnds: true, isPerArea: true, isEmbedded: true, zones: [4] },
    { selection: than, than: null, borough: "all", isOfEnds: false, isPerArea: false, isEmbedded: false, zones: [1, 4] },
  ]) {
    assert.deepEqual(plain(viewFromFragment(viewAsFragment(view))), view);
  }
});

test("links of before still show the same", () => {
  const { viewFromFragment } = scripts(NAMES);
  const { selection } = viewFromFragment("show=pickups,all,hours 6-9");
  assert.deepEqual(plain(selection), { count: "pickups", fleet: "all", from: 0, to: 4, weekdays: null, hours: [6, 7, 8, 9] });
});

test("what is no view becomes the default", () => {
  const { viewFromFragment, rangesFromText } = scripts(NAMES);
  const standard = viewFromFragment("");
  assert.deepEqual(viewFromFragment("show=drop,blue,1..2,hours 9-6,weekdays 7&zone=9999&borough=x&map=y"), standard);
  for (const text of ["", "24", "3-2", "1-", "-1", "1..2", "a", "0-23"]) assert.equal(rangesFromText(text, 24), null);
});

test("a comparison with nothing is none, and zones may stand with commas between them", () => {
  const { viewFromFragment } = scripts(NAMES);
  assert.equal(viewFromFragment("than=garbage").than, null);
  assert.deepEqual(plain(viewFromFragment("zone=1,4").zones), [1, 4]);
});

test("weeks that are counted together are chosen together", () => {
  const { viewFromFragment } = scripts(NAMES, { weeks_per_period: 2 });
  const chosen = (fragment) => plain([viewFromFragment(fragment).selection].map(({ from, to }) => [from, to]));
  assert.deepEqual(chosen("show=pickups,all,2023-01-08..2023-01-15"), [[1, 2]]);
  assert.deepEqual(chosen("show=pickups,all,2023-01-08..2023-01-15,hours 5"), [[0, 3]]);
  assert.deepEqual(chosen("show=pickups,all,2023-01-29..2023-01-29,weekdays 0"), [[4, 4]]);
});

test("loaded days are those of the chosen weekdays", () => {
  const { loadedDays } = scripts(NAMES);
  assert.equal(loadedDays({ fleet: "yellow", from: 0, to: 4, weekdays: null }), 30);
  assert.equal(loadedDays({ fleet: "yellow", from: 3, to: 4, weekdays: [0, 6] }), 3);
  assert.equal(loadedDays({ fleet: "green", from: 0, to: 1, weekdays: null }), 0);
});

test("months are those in which the chosen weeks lie", () => {
  const { pairMonthsInWords } = scripts(NAMES);
  assert.equal(pairMonthsInWords({ from: 0, to: 3 }), "2023-01");
  assert.equal(pairMonthsInWords({ from: 4, to: 4 }), "2023-01 to 2023-02");
});
