// Sorts a table when a column heading is clicked: numbers descending first, names ascending first.

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => sortBy(table, column)));
}

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const first = isText(body, column) ? "ascending" : "descending";
  const second = first === "ascending" ? "descending" : "ascending";
  const order = heads[column].getAttribute("aria-sort") === first ? second : first;
  heads.forEach((head, k) => head.setAttribute("aria-sort", k === column ? order : "none"));
  const sign = order === "ascending" ? 1 : -1;
  body.append(...[...body.rows].sort((a, b) => compared(a.cells[column], b.cells[column], sign)));
}

const isText = (body, column) => [...body.rows].some((row) => row.cells[column].tagName === "TH");

// Cells without a number stay at the end in both orders.
function compared(a, b, sign) {
  const [left, right] = [a.dataset.sort, b.dataset.sort];
  if (left === "" || right === "") return (left === "") - (right === "");
  if (a.tagName === "TH") return sign * left.localeCompare(right, "en", { numeric: true });
  return sign * (Number(left) - Number(right));
}
