/* What is chosen, in the address of the page: a link shows the same view. */
"use strict";

/** @type {Choice} */
const DEFAULTS = { count: "pickups", fleet: data.fleets.length > 1 ? "all" : data.fleets[0].key, from: 0, to: lastWeek, weekdays: null, hours: null };

/** Ascending numbers as text: 0-2.5. @param {number[]} numbers */
function rangesAsText(numbers) {
  const ranges = [];
  for (const each of numbers) {
    const last = ranges.at(-1);
    if (last && last[1] === each - 1) last[1] = each;
    else ranges.push([each, each]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(".");
}

/** The numbers of a text like 0-2.5, each below the limit, ascending; null if it is none, or has all of them. */
function rangesFromText(text, limit) {
  const found = new Set();
  for (const range of text.split(".")) {
    const [whole, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) || [];
    if (!whole || +first > +last || +last >= limit) return null;
    for (let n = +first; n <= +last; n++) found.add(n);
  }
  return found.size < limit ? [...found].sort((a, b) => a - b) : null;
}

function selectionAsText(selection) {
  const parts = [selection.count, selection.fleet];
  if (data.weeks.length) parts.push(`${data.weeks[selection.from]}..${data.weeks[selection.to]}`);
  if (selection.weekdays) parts.push(`weekdays ${rangesAsText(selection.weekdays)}`);
  if (selection.hours) parts.push(`hours ${rangesAsText(selection.hours)}`);
  return parts.join(",");
}

/* A selection out of its text; what the page does not know becomes the default. */
function selectionFromText(text) {
  const [count, fleet, ...when] = (text || "").split(",");
  const selection = { ...DEFAULTS };
  const counts = ["pickups", ...(data.num_void_rows ? ["net"] : []), "dropoffs"];
  if (counts.includes(count)) selection.count = count;
  if (fleet === "all" ? data.fleets.length > 1 : data.fleets.some((known) => known.key === fleet)) selection.fleet = fleet;
  for (const part of when) {
    const [, kind, ranges] = /^(weekdays|hours) (.*)$/.exec(part) || [];
    if (kind) selection[kind] = rangesFromText(ranges, kind === "hours" ? 24 : 7);
    const weeks = part.split("..").map((week) => data.weeks.indexOf(week));
    if (weeks.length === 2 && weeks[0] >= 0 && weeks[0] <= weeks[1]) [selection.from, selection.to] = weeks;
  }
  return widened(selection);
}

function viewAsFragment(view) {
  const parts = new URLSearchParams({ show: selectionAsText(view.selection) });
  if (view.than) parts.set("than", selectionAsText(view.than));
  if (view.borough !== "all") parts.set("borough", view.borough);
  if (view.zones.length) parts.set("zone", view.zones.join(" "));
  if (view.isOfEnds) parts.set("map", "ends");
  if (view.isPerArea) parts.set("per", "km2");
  if (view.isEmbedded) parts.set("embed", "1");
  return parts.toString();
}

function viewFromFragment(fragment) {
  const parts = new URLSearchParams(fragment);
  const borough = boroughs.includes(parts.get("borough")) ? parts.get("borough") : "all";
  const zones = (parts.get("zone") || "").split(/[ ,]+/).map(Number);
  return {
    selection: selectionFromText(parts.get("show")),
    than: /^(pickups|net|dropoffs),/.test(parts.get("than")) ? selectionFromText(parts.get("than")) : null,
    borough,
    isOfEnds: parts.get("map") === "ends",
    isPerArea: parts.get("per") === "km2",
    isEmbedded: parts.get("embed") === "1",
    zones: placed.filter((zone) => zones.includes(zone.id) && (borough === "all" || zone.borough === borough)).map((zone) => zone.id),
  };
}
