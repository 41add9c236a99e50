/* The tables behind the charts: the same numbers, for those who do not see or point. Made when they are opened. */
"use strict";

/* `rows` gives, when it is asked, a heading for each column and the rows; the first cell of a row names it. */
function makeTable(place, rows) {
  const box = place.querySelector("div");
  /* It scrolls, so the keyboard has to reach it. */
  for (const [name, text] of [["tabindex", "0"], ["role", "region"], ["aria-label", place.querySelector("summary").textContent]]) box.setAttribute(name, text);
  const fill = () => {
    const [heading, ...lines] = rows();
    const table = document.createElement("table");
    table.append(rowOfTable(heading, "th", "col"), ...lines.map((line) => rowOfTable(line, "td", null)));
    box.replaceChildren(table);
  };
  place.addEventListener("toggle", () => place.open && fill());
  return { show: () => place.open && fill() };
}

function rowOfTable(texts, kind, scope) {
  const row = document.createElement("tr");
  row.append(
    ...texts.map((text, n) => {
      const cell = document.createElement(n === 0 ? "th" : kind);
      cell.scope = scope || (n === 0 ? "row" : "");
      if (cell.tagName === "TD") cell.removeAttribute("scope");
      cell.textContent = text;
      return cell;
    }),
  );
  return row;
}
