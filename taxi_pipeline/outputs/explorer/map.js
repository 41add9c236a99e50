/* The map: one path per zone, coloured by class; zoomed with buttons, Ctrl and wheel, two fingers, or a double click. */
"use strict";

const MAX_ZOOM = 24;

function makeMap(place, { onClick, onPoint }) {
  const [width, height] = data.map;
  const svg = d3.select(place).append("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("role", "group").attr("aria-label", "Taxi zones");
  const layer = svg.append("g");
  const paths = layer
    .selectAll("path")
    .data(placed)
    .join("path")
    .attr("d", (zone) => zone.path)
    .attr("data-zone", (zone) => zone.id)
    .attr("role", "img")
    .on("click", (_, zone) => onClick(zone))
    .on("pointerenter pointermove", (event, zone) => onPoint(event, zone))
    .on("pointerleave", (event) => onPoint(event, null));
  const boxes = new Map();
  paths.each(function (zone) {
    boxes.set(zone.id, this.getBBox());
  });

  const zoom = d3
    .zoom()
    .scaleExtent([1, MAX_ZOOM])
    .translateExtent([[0, 0], [width, height]])
    /* The wheel and one finger scroll the page, until the map is enlarged. */
    .filter((event) => {
      if (event.type === "wheel") return event.ctrlKey || event.metaKey;
      if (event.type === "touchstart") return event.touches.length > 1 || d3.zoomTransform(svg.node()).k > 1;
      return !event.button;
    })
    .on("zoom", (event) => layer.attr("transform", event.transform));
  svg.call(zoom);

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
    /* `look` gives for a zone its CSS class and its words; `chosen` is an id or null. */
    show(look, chosen, isShown) {
      paths
        .attr("class", (zone) => `${look(zone).shade}${isShown(zone) ? "" : " aside"}`)
        .attr("aria-label", (zone) => `${zone.zone}, ${boroughName(zone.borough)}: ${look(zone).words}`)
        .classed("chosen", (zone) => zone.id === chosen);
      paths.filter((zone) => zone.id === chosen).raise();
    },
  };
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
