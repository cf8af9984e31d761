// Each network has the same color, dash pattern and mark in all charts.

const DASHES = ["", "7 3", "2 3", "10 3 2 3", "14 4"];
const MARKS = [
  "M0 -5A5 5 0 1 0 0.01 -5Z",
  "M-4.5 -4.5H4.5V4.5H-4.5Z",
  "M0 -6L5.5 4.5H-5.5Z",
  "M0 -6L6 0L0 6L-6 0Z",
  "M0 6L5.5 -4.5H-5.5Z",
  "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
  "M0 -6.5L6 -1.8L3.8 5.4H-3.8L-6 -1.8Z",
];

const colorClass = (k) => `series s${k % 8}`;
const dashOf = (k) => DASHES[k % DASHES.length];

function mark(k, x, y, size = 1) {
  return shape("path", {
    d: MARKS[k % MARKS.length],
    transform: `translate(${x} ${y}) scale(${size})`,
    class: `${colorClass(k)} mark`,
  });
}

function swatch(k) {
  return shape("svg", { width: 34, height: 14, viewBox: "0 0 34 14", "aria-hidden": "true" },
    shape("path", { d: "M0 7H34", class: `${colorClass(k)} line`, "stroke-dasharray": dashOf(k) }),
    mark(k, 17, 7, 0.9),
  );
}
