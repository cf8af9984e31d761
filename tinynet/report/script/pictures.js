// Small pictures on canvases: digits, and numbers as colors (orange above zero, blue below, transparent at zero).

const MOST_MAPS = 64;
const MOST_WRITTEN = 24; // cells in one row with their values below
const ABOVE = [214, 92, 20];
const BELOW = [32, 110, 190];

// Black ink on a transparent background; the style sheet inverts it in dark mode.
function drawDigit(canvas, pixels) {
  const image = new ImageData(28, 28);
  pixels.forEach((pixel, i) => (image.data[4 * i + 3] = pixel));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function digitCanvas(pixels, properties = { "aria-hidden": "true" }) {
  return drawDigit(element("canvas.ink", { width: 28, height: 28, ...properties }), pixels);
}

// numbers: rows of `width` numbers, the last may be shorter. The strongest color means `scale`.
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

// The mouse, a finger or the arrow keys show single numbers, for readers who cannot tell the colors apart.
function numbersCanvas(numbers, width, scale = strongest(numbers), label = "numbers") {
  const onfocus = ({ currentTarget }) => readNumber(currentTarget, currentTarget.at ?? 0);
  const reading = { onpointermove: readBelow, onpointerdown: readBelow, onfocus, onkeydown: walkNumbers };
  const canvas = element("canvas.numbers", { role: "img", tabindex: 0, "aria-label": label, ...reading });
  return drawNumbers(canvas, numbers, width, scale);
}

function readBelow({ currentTarget: canvas, offsetX, offsetY }) {
  const within = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  const column = within(offsetX / canvas.clientWidth, canvas.width);
  const row = within(offsetY / canvas.clientHeight, canvas.height);
  readNumber(canvas, row * canvas.width + column);
}

// Show a number in the canvas's title and in the readout line of the section.
function readNumber(canvas, at) {
  const value = canvas.numbers[at];
  canvas.title = "";
  if (value === undefined) return;
  canvas.at = at;
  canvas.title = `row ${Math.floor(at / canvas.width)}, column ${at % canvas.width}: ${Number(value.toPrecision(3))}`;
  const line = canvas.closest("section")?.querySelector(".readout");
  if (line) line.textContent = `${canvas.getAttribute("aria-label")}, ${canvas.title}`;
}

function walkNumbers(event) {
  const canvas = event.currentTarget;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -canvas.width, ArrowDown: canvas.width };
  const pages = { PageUp: -1, PageDown: 1 };
  if (!(event.key in steps) && !(event.key in pages)) return;
  event.preventDefault();
  if (event.key in pages) return nextInGroup(canvas, pages[event.key]);
  const at = (canvas.at ?? 0) + steps[event.key];
  if (at >= 0 && at < canvas.numbers.length) readNumber(canvas, at);
}

// A group of pictures is one stop of the Tab key. Page Up and Page Down move between the pictures.
function unitGroup(kind, figures) {
  const group = element("div", { class: kind }, figures);
  group.querySelectorAll("canvas").forEach((canvas, k) => (canvas.tabIndex = k === 0 ? 0 : -1));
  return group;
}

function nextInGroup(canvas, way) {
  const all = [...(canvas.closest(".units")?.querySelectorAll("canvas") ?? [])];
  all[all.indexOf(canvas) + way]?.focus();
}

function addReadout(section) {
  section.append(element("p.readout", { role: "status", "aria-live": "polite" }));
}

// The opacity for a value: a power below 1 keeps small numbers visible.
function shade(value, scale) {
  return scale > 0 ? Math.min(1, Math.abs(value) / scale) ** 0.75 : 0;
}

function colorOf(value, scale) {
  const [red, green, blue] = value < 0 ? BELOW : ABOVE;
  return `rgb(${red} ${green} ${blue} / ${shade(value, scale)})`;
}

// A cell in the color of a number, with the number below.
function numberCell(value, scale, title = value, below = null) {
  const color = element("i", { style: { background: colorOf(value, scale) } });
  return element("span.cell", { title }, color, element("small", plain(value)), below);
}

// The weights of unit j in a first layer: a column of W, or a kernel of a convolution.
function filterOf({ kind, inputs, outputs, kernel_size: kernel, W }, j) {
  if (kind === "conv2d") return W.subarray(j * kernel ** 2, (j + 1) * kernel ** 2);
  return Float32Array.from({ length: inputs }, (_, i) => W[i * outputs + j]);
}

// Maps of a layer, their gradients, or the kernels of a convolution, as a group of pictures.
function mapsOf(values, maps, scale, what = "Map") {
  const pixels = values.length / maps;
  const map = (m) => unitPicture(values.slice(m * pixels, (m + 1) * pixels), scale, `${what} ${m}`);
  const shown = Math.min(MOST_MAPS, maps);
  const few = shown < maps ? element("p.note", `The first ${shown} of ${maps}.`) : null;
  return [unitGroup("units small", Array.from({ length: shown }, (_, m) => map(m))), few];
}

// A unit's numbers as a square picture.
function unitPicture(values, scale, label) {
  const side = Math.sqrt(values.length);
  return element("figure.unit", { title: label }, numbersCanvas(values, side, scale, label));
}

function rowFigure(facts, k, ...caption) {
  return element("figure.row", rowPicture(facts, k), element("figcaption", ...caption));
}

// A validation row: its picture, or its number if rows are not pictures. A click puts it on the pad.
function rowPicture(facts, k) {
  const row = facts.digits.rows[k];
  if (!facts.pixels) return element("b", `row ${row}`);
  const picture = digitCanvas(facts.pixels[k]);
  if (!facts.pad) return picture;
  const detail = { pixels: facts.pixels[k], label: facts.digits.labels[k] };
  const take = () => document.dispatchEvent(new CustomEvent("take", { detail }));
  const label = `Validation row ${row}, class ${facts.digits.labels[k]}: put it on the pad`;
  return element("button.digit", { "aria-label": label, title: label, onclick: take }, picture);
}
