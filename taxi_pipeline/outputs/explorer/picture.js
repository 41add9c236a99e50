/* What is shown as one picture: the map with its key, the charts, what is chosen, and where the trips come from. As an SVG
   that needs no stylesheet, and as a PNG of it. */
"use strict";

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "opacity", "font", "text-anchor", "vector-effect"];
const PICTURE = { map: 860, charts: 560, gap: 24, line: 20, letters: 125, swatch: 107 };
const NOT_IN_XML = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;
const PIXELS_PER_UNIT = 2;

/** An element of an SVG. @param {string} name @param {Record<string, string | number>} attributes */
function svgElement(name, attributes, text = "") {
  const element = document.createElementNS(SVG_NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.textContent = text.replaceAll(NOT_IN_XML, "�");
  return element;
}

/** A drawing of the page with the look that it has now, at a place. @param {SVGSVGElement} svg */
function copyOf(svg, x, y, width) {
  const copy = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
  const [shown, copied] = [svg, copy].map((each) => [each, ...each.querySelectorAll("*")]);
  shown.forEach((element, n) => {
    const style = getComputedStyle(element);
    copied[n].setAttribute("style", STYLES.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
  });
  for (const element of copy.querySelectorAll(".overlay, .handle, #lasso")) element.remove();
  for (const element of [copy, ...copy.querySelectorAll("*")]) {
    for (const { name } of [...element.attributes]) if (/^(aria-|data-|role$|class$|tabindex$|cursor$)/.test(name)) element.removeAttribute(name);
  }
  const box = svg.viewBox.baseVal;
  const height = (width * box.height) / box.width;
  for (const [name, value] of Object.entries({ x, y, width, height })) copy.setAttribute(name, String(value));
  return { copy, height };
}

/** Words in lines of at most so many letters. @param {string} text @returns {string[]} */
function linesOf(text, letters) {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    if (lines.at(-1) && `${lines.at(-1)} ${word}`.length > letters) lines.push("");
    lines.push(`${lines.pop()} ${word}`.trim());
  }
  return lines.filter(Boolean);
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}`;

/** The picture as the text of an SVG file. @returns {string} */
function pictureAsSvg() {
  const { gap, line } = PICTURE;
  const width = 3 * gap + PICTURE.map + PICTURE.charts;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const picture = svgElement("svg", { width });
  const words = (text, x, y, size = 14, isMuted = false) =>
    picture.append(svgElement("text", { x, y, fill: colour(isMuted ? "--muted" : "--ink"), style: `font: ${size === 20 ? 600 : 400} ${size}px system-ui, sans-serif` }, text));
  /* Below `top`, lines of words. @returns the place below them */
  const paragraph = (text, x, top, letters, size, isMuted) => {
    const lines = linesOf(text, letters);
    lines.forEach((each, n) => words(each, x, top + (n + 0.8) * line, size, isMuted));
    return top + lines.length * line;
  };
  /* The key with this id, with swatches beside each other. @returns the place below it */
  const key = (id, x, top, room) => {
    const items = [...byId(id).querySelectorAll("li")];
    const y = paragraph(sentence(byId(id).querySelector("p").textContent), x, top, PICTURE.letters, 13, true) + 4;
    const width = Math.min(PICTURE.swatch, room / items.length);
    items.forEach((item, n) => {
      const fill = getComputedStyle(item.querySelector("i")).backgroundColor;
      picture.append(svgElement("rect", { x: x + n * width, y, width, height: 12, fill, stroke: colour("--line") }));
      words(item.textContent, x + n * width, y + 28, 12, true);
    });
    return y + 40;
  };

  let top = paragraph(byId("title").textContent, gap, gap, PICTURE.letters, 20, false);
  if (view.than) top = paragraph(byId("compared").textContent, gap, top, PICTURE.letters, 14, true);
  top += gap / 2;
  const placedMap = copyOf(byId("map").querySelector("svg"), gap, top, PICTURE.map);
  picture.append(placedMap.copy);
  let left = key("key", gap, top + placedMap.height, PICTURE.map);
  left = paragraph(byId("summary").textContent, gap, left, PICTURE.letters, 13, true);

  const x = 2 * gap + PICTURE.map;
  const letters = Math.floor(PICTURE.charts / 8);
  let right = paragraph(`${byId("chosen").textContent}: ${byId("chosen-numbers").textContent}`, x, top, letters, 14, false);
  for (const [id, title] of [["weeks", `Trips a day, by week${data.events.length ? "; ▼ and lines mark known events" : ""}`], ["hours", "Trips a day, by hour"], ["heat", "By weekday and hour"]]) {
    right = paragraph(title, x, right + gap / 2, letters, 13, true);
    const chart = copyOf(byId(id).querySelector("svg"), x, right, PICTURE.charts);
    picture.append(chart.copy);
    right += chart.height;
  }
  right = key("heat-key", x, right, PICTURE.charts);
  const bottom = Math.ceil(paragraph(byId("origin").textContent, gap, Math.max(left, right) + gap / 2, 180, 12, true) + gap);
  picture.setAttribute("height", String(bottom));
  picture.setAttribute("viewBox", `0 0 ${width} ${bottom}`);
  picture.prepend(svgElement("rect", { width, height: bottom, fill: colour("--paper") }));
  return new XMLSerializer().serializeToString(picture);
}

/** The picture as the bytes of a PNG file. @returns {Promise<Blob>} */
async function pictureAsPng() {
  const url = URL.createObjectURL(new Blob([pictureAsSvg()], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth * PIXELS_PER_UNIT, image.naturalHeight * PIXELS_PER_UNIT];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob(done, "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}
