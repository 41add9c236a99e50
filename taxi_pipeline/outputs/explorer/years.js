/* The years one below the other: trips a day by week, on one scale. Drawn when it is opened. */
"use strict";

const YEAR = { height: 44, left: 48, right: 92, gap: 6, days: 366 };

/**
 * @typedef {{ start: string, days: number, trips: number, loaded: number, words: string, isChosen: boolean, isPartial: boolean }} Bar
 * `start` is the first day, `days` how many it has, `loaded` how many of them are.
 */

/**
 * @param {HTMLDetailsElement} place @param {{ bars: () => Bar[], onPoint: (event: Event, shown: unknown) => void }} how
 */
function makeYears(place, { bars, onPoint }) {
  const svg = d3.select(place).select("div").append("svg");
  const perDay = (bar) => (bar.loaded ? bar.trips / bar.loaded : 0);

  const draw = () => {
    const years = d3.groups(bars(), (bar) => bar.start.slice(0, 4));
    const width = Math.max(240, place.clientWidth);
    const x = d3.scaleLinear([0, YEAR.days], [YEAR.left, width - YEAR.right]);
    const y = d3.scaleLinear([0, d3.max(years, ([, of]) => d3.max(of, perDay)) || 1], [0, YEAR.height - YEAR.gap]);
    const dayOfYear = (bar) => (Date.parse(bar.start) - Date.parse(`${bar.start.slice(0, 4)}-01-01`)) / 86_400_000;
    const height = YEAR.height * years.length;
    svg.attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`);
    const rows = svg.selectAll("g").data(years).join("g").attr("transform", (_, n) => `translate(0,${n * YEAR.height})`).attr("class", "axis");
    rows.html("");
    rows.append("line").attr("x1", YEAR.left).attr("x2", width - YEAR.right).attr("y1", YEAR.height - 0.5).attr("y2", YEAR.height - 0.5);
    rows.append("text").attr("x", 0).attr("y", YEAR.height - YEAR.gap).text(([year]) => year);
    rows
      .append("text")
      .attr("x", width)
      .attr("y", YEAR.height - YEAR.gap)
      .attr("text-anchor", "end")
      .text(([, of]) => meanInWords(of));
    rows
      .selectAll("rect")
      .data(([, of]) => of)
      .join("rect")
      .attr("x", (bar) => x(dayOfYear(bar)))
      .attr("width", (bar) => Math.max(0.5, x(Math.min(bar.days, YEAR.days - dayOfYear(bar))) - x(0) - 0.5)) // not into the next year
      .attr("y", (bar) => YEAR.height - y(perDay(bar)))
      .attr("height", (bar) => y(perDay(bar)))
      .attr("class", (bar) => `bar${bar.isChosen ? "" : " pale"}${bar.isPartial ? " partial" : ""}`)
      .attr("role", "img")
      .attr("aria-label", (bar) => bar.words)
      .on("pointermove", (event, bar) => onPoint(event, { label: bar.start.slice(0, 4), words: bar.words }))
      .on("pointerleave", (event) => onPoint(event, null));
  };

  /** Trips a day of all bars that are chosen, or of all where none is. @param {Bar[]} of */
  function meanInWords(of) {
    const chosen = of.some((bar) => bar.isChosen) ? of.filter((bar) => bar.isChosen) : of;
    const loaded = d3.sum(chosen, (bar) => bar.loaded);
    return loaded ? `${rate.format(d3.sum(chosen, (bar) => bar.trips) / loaded)} a day` : "none loaded";
  }

  place.addEventListener("toggle", () => place.open && draw());
  return { show: () => place.open && draw() };
}
