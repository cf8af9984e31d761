// The drawing pad. It takes strokes with mouse, pen, finger or keyboard, loaded pictures, and validation digits.

const SIDE = 280;
const PEN = 22;
const STEP = 6;
const LARGEST = 89_000_000; // most pixels of a loaded picture
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class Pad {
  // changed(pixels, start) gets the 784 grays for the networks, or null if the pad is empty.
  constructor(changed) {
    this.canvas = byId("pad");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.changed = changed;
    this.items = []; // { points } for a stroke, { picture, grays } for a picture
    this.pen = { x: SIDE / 2, y: SIDE / 2, down: false };
    this.waiting = false;
    this.pointer = null; // the finger, pen or mouse that draws; others are ignored until it ends
    this.listen();
    this.paint();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.end(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && this.showPen());
    canvas.addEventListener("blur", () => this.lift());
    byId("undo").addEventListener("click", () => this.undo());
    byId("clear").addEventListener("click", () => this.clear());
    byId("save").addEventListener("click", () => this.save());
    byId("load").addEventListener("change", (event) => this.load(event.target));
  }

  // ------------------------------------------------------------------------------------------ strokes

  begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    if (this.pointer !== null) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true, focusVisible: false });
    this.lift();
    this.start(this.position(event));
  }

  end(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.stroke = null;
    this.later();
  }

  drag(event) {
    if (!this.stroke || event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.stroke.points.push(this.position(each));
    this.later();
  }

  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  start(point) {
    this.stroke = { points: [point] };
    this.items.push(this.stroke);
    this.later();
  }

  // ------------------------------------------------------------------------------------------ keyboard

  key(event) {
    const far = event.shiftKey ? 4 * STEP : STEP;
    if (event.key in ARROWS) this.move(...ARROWS[event.key].map((way) => way * far));
    else if (event.key === " ") this.pen.down ? this.lift() : this.lower();
    else if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
    this.showPen();
  }

  move(x, y) {
    const inside = (value) => Math.min(SIDE - PEN / 2, Math.max(PEN / 2, value));
    [this.pen.x, this.pen.y] = [inside(this.pen.x + x), inside(this.pen.y + y)];
    if (!this.pen.down) return;
    this.stroke.points.push([this.pen.x, this.pen.y]);
    this.later();
  }

  lower() {
    this.pen.down = true;
    this.start([this.pen.x, this.pen.y]);
    this.say("Pen down: the arrow keys draw, Space lifts the pen.");
  }

  lift() {
    if (this.pen.down) this.say("Pen lifted.");
    this.pen.down = false;
    if (this.stroke) this.later();
    this.stroke = null;
    byId("pad-pen").hidden = true;
  }

  showPen() {
    const pen = byId("pad-pen");
    pen.hidden = false;
    pen.classList.toggle("down", this.pen.down);
    pen.style.left = `${(100 * this.pen.x) / SIDE}%`;
    pen.style.top = `${(100 * this.pen.y) / SIDE}%`;
  }

  // ------------------------------------------------------------------------------------------- buttons

  undo() {
    this.lift();
    this.items.pop();
    this.later();
  }

  clear() {
    this.lift();
    this.items = [];
    this.later();
  }

  save() {
    this.paint();
    this.canvas.toBlob((blob) => {
      const link = element("a", { href: URL.createObjectURL(blob), download: "digit.png" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }, "image/png");
  }

  async load(input) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    byId("pad").ariaBusy = "true";
    try {
      this.take(await pictureOf(file));
    } catch {
      this.say(`${file.name} cannot be read as a picture; choose a PNG or a JPEG.`);
    }
    byId("pad").ariaBusy = null;
  }

  take(picture) {
    const ink = inkIn(picture);
    if (!ink) return this.say("That picture is blank, or does not show one digit.");
    this.put(onPaper(ink), digitOf(ink));
  }

  // Put a validation digit on the pad unchanged: 784 grays, light ink on dark.
  takeDigit({ pixels, label }) {
    const picture = new ImageData(28, 28);
    pixels.forEach((pixel, i) => picture.data.set([255 - pixel, 255 - pixel, 255 - pixel, 255], 4 * i));
    this.put(picture, pixels, label);
  }

  put(picture, grays, label = null) {
    this.lift();
    this.items.push({ picture, grays, label });
    this.later();
  }

  // ----------------------------------------------------------------------------------------- the answer

  // Paint and answer once per frame.
  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.update();
    });
  }

  update() {
    const start = performance.now();
    this.paint();
    const last = this.items.at(-1);
    const read = this.stroke ? preview : prepare;
    const pixels = last?.grays ?? (last ? read(this.context.getImageData(0, 0, SIDE, SIDE)) : null);
    this.changed(pixels, start);
    if (!this.pen.down) this.say(this.contents());
  }

  // A picture covers all that was on the pad before.
  contents() {
    const top = this.items.findLastIndex(({ picture }) => picture);
    const strokes = this.items.length - 1 - top;
    const { label = null } = this.items[top] ?? {};
    const picture = top < 0 ? null : label === null ? "1 picture" : `A validation digit of class ${label}`;
    const parts = [picture, strokes && plural(strokes, "stroke")].filter(Boolean);
    return parts.length ? `${parts.join(" and ")} on the pad.` : "Nothing drawn yet.";
  }

  paint() {
    this.context.fillStyle = "white";
    this.context.fillRect(0, 0, SIDE, SIDE);
    for (const item of this.items) item.points ? this.paintStroke(item.points) : this.paintPicture(item.picture);
    byId("pad-empty").hidden = this.items.length > 0;
  }

  paintStroke(points) {
    const { context } = this;
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points.slice(1)) context.lineTo(...point);
    if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
    context.stroke();
  }

  // Scaled by an integer, so that averages over areas are those of the picture itself.
  paintPicture(picture) {
    const { context } = this;
    const canvas = element("canvas", { width: picture.width, height: picture.height });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    const scale = Math.max(1, Math.floor(SIDE / Math.max(picture.width, picture.height)));
    const [width, height] = [picture.width * scale, picture.height * scale];
    context.fillStyle = "white";
    context.fillRect(0, 0, SIDE, SIDE);
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, Math.floor((SIDE - width) / 2), Math.floor((SIDE - height) / 2), width, height);
  }

  say(words) {
    const state = byId("pad-state");
    if (state.textContent !== words) state.textContent = words;
  }
}

// The pixels of a picture file, rotated according to its EXIF, with the stored colors.
async function pictureOf(file) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(file, options);
  if (bitmap.width * bitmap.height > LARGEST) throw new RangeError("too many pixels");
  const canvas = element("canvas", { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}
