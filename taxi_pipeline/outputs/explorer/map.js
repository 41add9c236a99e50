/* The map: one path per zone, coloured by class; zoomed with buttons, Ctrl and wheel, two fingers, or a double click. */
"use strict";

const MAX_ZOOM = 24;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/* `onClick` gets a zone and whether it joins those that are chosen; `onLasso` the zones around whose middle a line was
   drawn with Shift. */
function makeMap(place, { onClick, onLasso, onPoint }) {
  const [width, height] = data.map;
  const svg = d3
    .select(place)
    .append("svg")
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("role", "listbox")
    .attr("aria-multiselectable", "true")
    .attr("aria-label", "Taxi zones: arrow keys go from zone to zone, Enter chooses, Shift and Enter adds");
  const layer = svg.append("g").attr("role", "presentation");
  const line = svg.append("path").attr("id", "lasso").attr("aria-hidden", "true");
  const paths = layer
    .selectAll("path")
    .data(placed)
    .join("path")
    .attr("d", (zone) => zone.path)
    .attr("data-zone", (zone) => zone.id)
    .attr("role", "option")
    .attr("tabindex", (_, n) => (n ? -1 : 0))
    .on("click", (event, zone) => onClick(zone, event.ctrlKey || event.metaKey || event.shiftKey))
    .on("keydown", onKey)
    .on("focus", function (event, zone) {
      paths.attr("tabindex", (each) => (each === zone ? 0 : -1));
      const box = this.getBoundingClientRect();
      if (this.matches(":focus-visible")) onPoint({ clientX: box.right, clientY: box.bottom }, zone);
    })
    .on("blur", (event) => onPoint(event, null))
    .on("pointerenter pointermove", (event, zone) => onPoint(event, zone))
    .on("pointerleave", (event) => onPoint(event, null));
  const boxes = new Map();
  const elements = new Map();
  paths.each(function (zone) {
    boxes.set(zone.id, this.getBBox());
    elements.set(zone.id, this);
  });
  const middleOf = (zone) => {
    const box = boxes.get(zone.id);
    return [box.x + box.width / 2, box.y + box.height / 2];
  };

  function onKey(event, zone) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return onClick(zone, event.ctrlKey || event.metaKey || event.shiftKey);
    }
    const direction = ARROWS[event.key];
    if (!direction) return undefined;
    event.preventDefault();
    const next = neighbour(zone, direction);
    return next && elements.get(next.id).focus();
  }

  /* The nearest zone in a direction: what lies aside counts twice. */
  function neighbour(zone, [right, down]) {
    const [x, y] = middleOf(zone);
    const distance = (other) => {
      const [dx, dy] = [middleOf(other)[0] - x, middleOf(other)[1] - y];
      const [along, aside] = [dx * right + dy * down, Math.abs(dx * down) + Math.abs(dy * right)];
      return along > 0 && aside <= 2 * along ? along + 2 * aside : Infinity;
    };
    const nearest = d3.least(placed.filter((other) => other !== zone), distance);
    return nearest && distance(nearest) < Infinity ? nearest : null;
  }

  const zoom = d3
    .zoom()
    .scaleExtent([1, MAX_ZOOM])
    .translateExtent([[0, 0], [width, height]])
    /* The wheel and one finger scroll the page, until the map is enlarged. */
    .filter((event) => {
      if (event.type === "wheel") return event.ctrlKey || event.metaKey;
      if (event.type === "touchstart") return event.touches.length > 1 || d3.zoomTransform(svg.node()).k > 1;
      return !event.button && !event.shiftKey;
    })
    .on("zoom", (event) => layer.attr("transform", event.transform));
  svg.call(zoom);
  svg.call(
    d3
      .drag()
      .filter((event) => event.shiftKey && !event.button)
      .on("start", function (event) {
        const points = [[event.x, event.y]];
        event
          .on("drag", (moved) => {
            points.push([moved.x, moved.y]);
            line.attr("d", `M${points.join("L")}Z`);
          })
          .on("end", () => {
            line.attr("d", null);
            if (points.length < 3) return;
            const drawn = points.map((each) => d3.zoomTransform(svg.node()).invert(each));
            onLasso(placed.filter((zone) => d3.polygonContains(drawn, middleOf(zone))));
          });
      }),
  );

  function fit(zones) {
    const found = zones.map((zone) => boxes.get(zone.id));
    if (!found.length) return svg.call(zoom.transform, d3.zoomIdentity);
    const [left, top] = [d3.min(found, (box) => box.x), d3.min(found, (box) => box.y)];
    const [right, bottom] = [d3.max(found, (box) => box.x + box.width), d3.max(found, (box) => box.y + box.height)];
    const scale = Math.min(MAX_ZOOM, 0.96 / Math.max((right - left) / width, (bottom - top) / height));
    const transform = d3.zoomIdentity
      .translate(width / 2, height / 2)
      .scale(Math.max(1, scale))
      .translate(-(left + right) / 2, -(top + bottom) / 2);
    return svg.call(zoom.transform, scale <= 1.05 ? d3.zoomIdentity : transform);
  }

  return {
    fit,
    zoomBy: (factor) => svg.call(zoom.scaleBy, factor),
    /* `look` gives for a zone its CSS class and its words; `chosen` has ids. */
    show(look, chosen, isShown) {
      paths.each(function (zone) {
        const { shade, words } = look(zone);
        const isChosen = chosen.includes(zone.id);
        setChanged(this, "class", `${shade}${isShown(zone) ? "" : " aside"}${isChosen ? " chosen" : ""}`);
        setChanged(this, "aria-label", `${zone.zone}, ${boroughName(zone.borough)}: ${words}`);
        setChanged(this, "aria-selected", String(isChosen));
      });
      /* Their outlines lie over those of the others. A moved element loses the focus. */
      const focused = document.activeElement;
      paths.filter((zone) => chosen.includes(zone.id)).raise();
      if (focused !== document.activeElement && focused instanceof SVGElement) focused.focus();
    },
  };
}

/* What does not change costs nothing: the browser draws only what does. */
function setChanged(element, name, text) {
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/* The key under the map: swatches with the number at which each begins. */
function showKey(place, title, swatches) {
  const items = swatches.map(({ shade, words }) => {
    const [item, swatch] = [document.createElement("li"), document.createElement("i")];
    swatch.className = shade;
    item.append(swatch, words);
    return item;
  });
  const heading = document.createElement("p");
  heading.textContent = title;
  const list = document.createElement("ol");
  list.append(...items);
  place.replaceChildren(heading, list);
}
