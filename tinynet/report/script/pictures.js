// Small pictures on canvases: digits, and numbers as colours: orange above zero, blue below, nothing at zero.

const ABOVE = [214, 92, 20];
const BELOW = [32, 110, 190];

// Ink on transparent ground; the style turns it light in the dark.
function drawDigit(canvas, pixels) {
  const image = new ImageData(28, 28);
  pixels.forEach((pixel, i) => (image.data[4 * i + 3] = pixel));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function digitCanvas(pixels) {
  return drawDigit(element("canvas", { class: "ink", width: 28, height: 28, "aria-hidden": "true" }), pixels);
}

// numbers: rows of `width` each, the last may be short; the strongest colour stands for `scale`.
function drawNumbers(canvas, numbers, width, scale) {
  canvas.width = width;
  canvas.height = Math.ceil(numbers.length / width);
  canvas.numbers = numbers;
  const image = new ImageData(canvas.width, canvas.height);
  numbers.forEach((value, i) => {
    image.data.set(value < 0 ? BELOW : ABOVE, 4 * i);
    image.data[4 * i + 3] = 255 * shade(value, scale);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// The pointer reads the number below it, for the eye that cannot tell the colours.
function numbersCanvas(numbers, width, scale = strongest(numbers), label = null) {
  const properties = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const canvas = element("canvas", { class: "numbers", onpointermove: readNumber, ...properties });
  return drawNumbers(canvas, numbers, width, scale);
}

function readNumber({ currentTarget: canvas, offsetX, offsetY }) {
  const within = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  const column = within(offsetX / canvas.clientWidth, canvas.width);
  const row = within(offsetY / canvas.clientHeight, canvas.height);
  const value = canvas.numbers[row * canvas.width + column];
  canvas.title = value === undefined ? "" : `row ${row}, column ${column}: ${Number(value.toPrecision(3))}`;
}

// A softened share of the scale: small numbers stay visible.
function shade(value, scale) {
  return scale > 0 ? Math.min(1, Math.abs(value) / scale) ** 0.75 : 0;
}

function colourOf(value, scale) {
  const [red, green, blue] = value < 0 ? BELOW : ABOVE;
  return `rgb(${red} ${green} ${blue} / ${shade(value, scale)})`;
}

// One column of a first layer: what unit j multiplies each pixel by.
function filterOf({ inputs, outputs, W }, j) {
  return Float32Array.from({ length: inputs }, (_, i) => W[i * outputs + j]);
}

// A figure of one validation row: its picture, or its number where rows are no pictures. A click lays it on the pad.
function rowFigure(facts, k, ...caption) {
  const row = facts.digits.rows[k];
  if (!facts.pixels)
    return element("figure", { class: "row" }, element("b", {}, `row ${row}`), element("figcaption", {}, ...caption));
  if (!facts.pad)
    return element("figure", { class: "row" }, digitCanvas(facts.pixels[k]), element("figcaption", {}, ...caption));
  const take = () => document.dispatchEvent(new CustomEvent("take", { detail: facts.pixels[k] }));
  const label = `Validation row ${row}, a ${facts.digits.labels[k]}: lay it on the pad`;
  return element(
    "figure",
    { class: "row" },
    element(
      "button",
      { type: "button", class: "digit", "aria-label": label, title: label, onclick: take },
      digitCanvas(facts.pixels[k]),
    ),
    element("figcaption", {}, ...caption),
  );
}
