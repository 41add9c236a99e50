/* The page's scripts in a context of their own, with a document that has nothing but the data: for what computes. */
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const FOLDER = path.join(__dirname, "..", "..", "taxi_pipeline", "outputs", "explorer");

const DATA = {
  fleets: [{ key: "yellow", title: "Yellow taxis" }, { key: "green", title: "Green taxis" }],
  weeks: ["2023-01-01", "2023-01-08", "2023-01-15", "2023-01-22", "2023-01-29"],
  days: { yellow: [127, 127, 127, 127, 3], green: [0, 0, 127, 127, 1], all: [127, 127, 127, 127, 3] },
  num_void_rows: 2,
  zones: [
    { id: 1, zone: "Newark Airport", borough: "EWR", path: "M0 0Z" },
    { id: 4, zone: "Alphabet City", borough: "Manhattan", path: "M0 0Z" },
    { id: 264, zone: "Unknown", borough: "Unknown", path: null },
  ],
  borough_titles: {},
  flows: { yellow: [], green: [] },
  weeks_per_period: 1,
  months_per_period: 1,
  num_months: 2,
  blocks: [],
};

/* Everything that the scripts declare at their top, by name. `changes` go over the data. */
exports.scripts = function scripts(names, changes = {}) {
  const text = JSON.stringify({ ...DATA, ...changes });
  const context = vm.createContext({ document: { getElementById: () => ({ textContent: text }) }, URLSearchParams });
  const files = ["d3.min.js", "cube.js", "counts.js", "flows.js", "address.js"];
  const sources = files.map((name) => fs.readFileSync(path.join(FOLDER, name), "utf-8"));
  return vm.runInContext(`${sources.join("\n")}\n;({ ${names.join(", ")} })`, context);
};
