"use strict";
// Draws the charts, and sorts a table by the column whose heading is pressed.

// No `eval`: the page's policy forbids it, so expressions are interpreted.
const options = { mode: "vega-lite", renderer: "svg", ast: true, actions: false };
const charts = JSON.parse(document.getElementById("charts").textContent);
for (const [id, specification] of Object.entries(charts)) {
  vegaEmbed(document.getElementById(id), specification, options);
}

function key(row, column) {
  const cell = row.cells[column];
  return cell.dataset.number === undefined ? cell.textContent : Number(cell.dataset.number);
}

// What was not measured stays at the end, whichever way the rest is sorted.
function compare(one, other, direction) {
  if (one === "" || other === "") return (one === "") - (other === "");
  if (typeof one === "number" && typeof other === "number") return direction * (one - other);
  return direction * String(one).localeCompare(String(other));
}

for (const button of document.querySelectorAll("table.sortable th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const body = head.closest("table").tBodies[0];
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    const rows = [...body.rows];
    rows.sort((one, other) => compare(key(one, head.cellIndex), key(other, head.cellIndex), direction));
    body.append(...rows);
  });
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(button.parentElement.querySelector("pre"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy"); // a page from the file system may not use the clipboard's own interface
  });
}
