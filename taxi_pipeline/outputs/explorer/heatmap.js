/* Trips by weekday and hour: a row for each weekday, a column for each hour, and a key. Brushing chooses both. */
"use strict";

const HEAT_ROW = 17;
const HEAT_NAMES = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/* `onBrush` gets { weekdays, hours }, each first and last, or null for all, and whether the brush still moves. */
function makeHeatMap(place, keyPlace, { label, onBrush, onPoint }) {
  const height = MARGIN.top + SLOT_DAYS * HEAT_ROW + 4;
  const svg = d3.select(place).append("svg").attr("height", height);
  const names = svg.append("g").attr("class", "axis");
  const marks = svg.append("g");
  const brushed = svg.append("g").attr("class", "brush").attr("aria-hidden", "true");
  let isMoving = false;
  let before = "";
  let size = 0;

  return {
    /* Cells are { weekday, hour, value, words, isChosen }; `range` has the first and last weekday and hour, or is null. */
    show(cells, range) {
      const width = Math.max(240, widthOf(place));
      const x = d3.scaleBand(d3.range(24), [MARGIN.left, width - MARGIN.right]);
      const y = d3.scaleBand(d3.range(SLOT_DAYS), [MARGIN.top, MARGIN.top + SLOT_DAYS * HEAT_ROW]);
      const most = d3.max(cells, (cell) => cell.value) || 0;
      svg.attr("width", width).attr("viewBox", `0 0 ${width} ${height}`);
      names
        .selectAll("text")
        .data(HEAT_NAMES)
        .join("text")
        .attr("x", MARGIN.left - 6)
        .attr("y", (_, n) => y(n) + HEAT_ROW / 2 + 4)
        .attr("text-anchor", "end")
        .text((name) => name);
      const rects = marks.selectAll("rect").data(cells).join("rect");
      if (size !== width) {
        size = width;
        rects
          .attr("x", (cell) => x(cell.hour))
          .attr("y", (cell) => y(cell.weekday))
          .attr("width", Math.max(1, x.bandwidth() - 1))
          .attr("height", HEAT_ROW - 1)
          .attr("role", "img");
      }
      rects.each(function (cell) {
        setChanged(this, "aria-label", cell.words);
        setChanged(this, "class", `s${shadeOfShare(cell.value, most)}${cell.isChosen ? "" : " aside"}`);
      });
      const format = d3.format(most < 8 ? ".2~r" : ".2~s");
      const shades = most ? d3.range(1, NUM_SHADES + 1) : [];
      showKey(keyPlace, "Trips in the hour of a day, up to …", [{ shade: "s0", words: "none" }, ...shades.map((n) => ({ shade: `s${n}`, words: format((most * n) / NUM_SHADES) }))]);
      const cellAt = ([left, top]) => {
        const at = (position, first, step, last) => Math.max(0, Math.min(last, Math.floor((position - first) / step)));
        return [at(top, MARGIN.top, y.step(), SLOT_DAYS - 1), at(left, MARGIN.left, x.step(), 23)];
      };
      const brush = d3
        .brush()
        .extent([[MARGIN.left, MARGIN.top], [width - MARGIN.right, MARGIN.top + SLOT_DAYS * HEAT_ROW]])
        .on("brush end", (event) => {
          if (!event.sourceEvent) return;
          isMoving = event.type === "brush";
          if (!isMoving) before = "";
          if (!event.selection) return isMoving || onBrush(null, false);
          const [[left, top], [right, bottom]] = event.selection;
          const [[weekday, hour], [lastWeekday, lastHour]] = [cellAt([left, top]), cellAt([right - 0.01, bottom - 0.01])];
          return onBrush({ weekdays: [weekday, lastWeekday], hours: [hour, lastHour] }, isMoving);
        });
      const now = `${width} ${JSON.stringify(range)}`;
      if (!isMoving && now !== before) {
        before = now;
        brushed.call(brush);
        brushed.call(brush.move, range && [[x(range.hours[0]), y(range.weekdays[0])], [x(range.hours[1]) + x.bandwidth(), y(range.weekdays[1]) + HEAT_ROW]]);
      }
      brushed
        .select(".overlay")
        .on("pointermove", (event) => {
          const [weekday, hour] = cellAt(d3.pointer(event));
          onPoint(event, { label: label(), words: cells[weekday * 24 + hour].words });
        })
        .on("pointerleave", (event) => onPoint(event, null));
    },
  };
}

/* From 1 to 8, in equal steps up to the most; 0 for nothing. */
const shadeOfShare = (value, most) => (value > 0 ? Math.min(NUM_SHADES, Math.ceil((NUM_SHADES * value) / most)) : 0);
