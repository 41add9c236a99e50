/* What is chosen, in the address of the page: a link shows the same view. */
"use strict";

const DEFAULTS = { count: "pickups", fleet: data.fleets.length > 1 ? "all" : data.fleets[0].key, from: 0, to: lastWeek, hours: null };

function selectionAsText(selection) {
  const parts = [selection.count, selection.fleet];
  if (selection.hours) parts.push(`hours ${selection.hours.join("-")}`);
  else if (data.weeks.length) parts.push(`${data.weeks[selection.from]}..${data.weeks[selection.to]}`);
  return parts.join(",");
}

/* A selection out of its text; what the page does not know becomes the default. */
function selectionFromText(text) {
  const [count, fleet, when] = (text || "").split(",");
  const selection = { ...DEFAULTS };
  const counts = ["pickups", ...(data.num_void_rows ? ["net"] : []), "dropoffs"];
  if (counts.includes(count)) selection.count = count;
  if (fleet === "all" ? data.fleets.length > 1 : data.fleets.some((known) => known.key === fleet)) selection.fleet = fleet;
  const hours = /^hours (\d+)-(\d+)$/.exec(when || "");
  if (hours && +hours[1] <= +hours[2] && +hours[2] < 24) selection.hours = [+hours[1], +hours[2]];
  const weeks = (when || "").split("..").map((week) => data.weeks.indexOf(week));
  if (weeks.length === 2 && weeks[0] >= 0 && weeks[0] <= weeks[1]) [selection.from, selection.to] = weeks;
  return selection;
}

function viewAsFragment(view) {
  const parts = new URLSearchParams({ show: selectionAsText(view.selection) });
  if (view.than) parts.set("than", selectionAsText(view.than));
  if (view.borough !== "all") parts.set("borough", view.borough);
  if (view.zone !== null) parts.set("zone", view.zone);
  return parts.toString();
}

function viewFromFragment(fragment) {
  const parts = new URLSearchParams(fragment);
  const zone = zoneOf.get(+parts.get("zone"));
  return {
    selection: selectionFromText(parts.get("show")),
    than: parts.has("than") ? selectionFromText(parts.get("than")) : null,
    borough: boroughs.includes(parts.get("borough")) ? parts.get("borough") : "all",
    zone: zone && zone.path ? zone.id : null,
  };
}
