/* The bars by week and by hour, which are brushed to choose a range; and lists with bars. */
"use strict";

const CHART_HEIGHT = 150;
/* Half of what a date takes on paper, where letters are larger: nearer to the edge it ends there. */
const HALF_A_LABEL = 50;
const MARGIN = { left: 48, right: 6, top: 8, bottom: 22 };

/* Widths are measured once: a measure after each change would make the browser lay out the page again. */
const widths = new Map();

function widthOf(place) {
  if (!widths.has(place)) widths.set(place, place.clientWidth);
  return widths.get(place);
}

/* `onBrush` gets the first and the last bar, or null for all, and whether the brush still moves. */
function makeBars(place, { label, onBrush, onPoint }) {
  const svg = d3.select(place).append("svg").attr("height", CHART_HEIGHT);
  const grid = svg.append("g").attr("class", "axis");
  const noted = svg.append("g").attr("class", "noted").attr("aria-hidden", "true");
  const below = svg.append("g").attr("class", "axis");
  const marks = svg.append("g");
  const brushed = svg.append("g").attr("class", "brush").attr("aria-hidden", "true");
  let isMoving = false;
  let before = "";
  let size = "";

  return {
    /* Bars are { value, words, isChosen, isPinned, isPartial }; `ticks` are positions with a label; `notes` are the
       first and the last bar of what is marked above them. */
    show(bars, ticks, range, notes = []) {
      const width = Math.max(240, widthOf(place));
      const x = d3.scaleBand(d3.range(bars.length), [MARGIN.left, width - MARGIN.right]).paddingInner(bars.length > 80 ? 0 : 0.15);
      const y = d3.scaleLinear([0, d3.max(bars, (bar) => bar.value) || 1], [CHART_HEIGHT - MARGIN.bottom, MARGIN.top]).nice(4);
      /* The view box lets the chart shrink on paper, where nothing is drawn anew. */
      svg.attr("width", width).attr("viewBox", `0 0 ${width} ${CHART_HEIGHT}`);
      grid.attr("transform", `translate(${MARGIN.left},0)`).call(d3.axisLeft(y).ticks(4).tickFormat(short).tickSize(-(width - MARGIN.left - MARGIN.right)));
      const isLast = (tick) => x(tick.n) + x.bandwidth() / 2 + HALF_A_LABEL > width;
      below
        .selectAll("text")
        .data(ticks)
        .join("text")
        .attr("x", (tick) => (isLast(tick) ? width : x(tick.n) + x.bandwidth() / 2))
        .attr("y", CHART_HEIGHT - 6)
        .attr("text-anchor", (tick) => (isLast(tick) ? "end" : "middle"))
        .text((tick) => tick.text);
      const rects = marks.selectAll("rect").data(bars).join("rect");
      if (size !== `${width} ${bars.length}`) {
        size = `${width} ${bars.length}`;
        noted
          .selectAll("path")
          .data(notes)
          .join("path")
          .attr("d", ([first, last]) => {
            const [left, right] = [x(first), x(last) + x.bandwidth()];
            return first === last ? `M${(left + right) / 2 - 4} 0h8l-4 7z` : `M${left} 0H${right}v3H${left}z`;
          });
        rects
          .attr("x", (_, n) => x(n))
          .attr("width", Math.max(0.5, x.bandwidth()))
          .attr("role", "img");
      }
      const ground = y(0);
      rects.each(function (bar) {
        const top = y(bar.value);
        setChanged(this, "y", String(top));
        setChanged(this, "height", String(ground - top));
        setChanged(this, "aria-label", bar.words);
        setChanged(this, "class", `bar${bar.isChosen ? "" : " pale"}${bar.isPinned ? " pinned" : ""}${bar.isPartial ? " partial" : ""}`);
      });
      const nearest = (position) => Math.max(0, Math.min(bars.length - 1, Math.floor((position - MARGIN.left) / x.step())));
      brushed
        .select(".overlay")
        .on("pointermove", (event) => onPoint(event, { label: label(), words: bars[nearest(d3.pointer(event)[0])]?.words }))
        .on("pointerleave", (event) => onPoint(event, null));
      /* A brush that moves stays under the pointer, and one whose place is the same is not drawn again. */
      const now = `${width} ${bars.length} ${range}`;
      if (isMoving || now === before) return;
      before = now;
      const brush = d3
        .brushX()
        .extent([[MARGIN.left, MARGIN.top], [width - MARGIN.right, CHART_HEIGHT - MARGIN.bottom]])
        .on("brush end", (event) => {
          if (!event.sourceEvent) return;
          isMoving = event.type === "brush";
          if (!isMoving) before = "";
          if (event.selection) onBrush([nearest(event.selection[0]), nearest(event.selection[1] - 0.01)], isMoving);
          else if (!isMoving) onBrush(null, false);
        });
      brushed.call(brush);
      brushed.call(brush.move, range ? [x(range[0]), x(range[1]) + x.bandwidth()] : null);
      brushed
        .select(".overlay")
        .on("pointermove", (event) => onPoint(event, { label: label(), words: bars[nearest(d3.pointer(event)[0])]?.words }))
        .on("pointerleave", (event) => onPoint(event, null));
    },
  };
}

/* A list of names with numbers and bars. Rows are { name, number, share, onClick, isChosen }. */
function showList(place, rows) {
  place.replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement(row.onClick ? "button" : "span");
      line.className = "row";
      const [name, number, bar] = ["span", "span", "i"].map((kind) => document.createElement(kind));
      name.textContent = row.name;
      number.textContent = row.number;
      bar.style.width = `${(100 * row.share).toFixed(1)}%`;
      line.append(name, number, bar);
      if (row.onClick) {
        line.type = "button";
        line.setAttribute("aria-pressed", String(row.isChosen));
        line.addEventListener("click", row.onClick);
      }
      const item = document.createElement("li");
      item.append(line);
      return item;
    }),
  );
}
