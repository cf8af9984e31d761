// Three charts: what was learned epoch by epoch, accuracy against size, training against validation.

const NARROW = 480;

// An axis maps a value to a place; its ticks are those of `candidates` that lie inside.
function axis(low, high, from, to, bend, candidates) {
  const [a, b] = [bend(low), bend(high)];
  const place = (value) => from + ((bend(value) - a) / (b - a || 1)) * (to - from);
  return { place, ticks: candidates.filter((tick) => tick >= low && tick <= high) };
}

const logarithm = (value) => Math.log10(Math.max(value, 1e-12));
const logit = (share) => Math.log(Math.max(share, 1e-6) / Math.max(1 - share, 1e-6));
const SHARES = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];
const POWERS_OF_TEN = Array.from({ length: 40 }, (_, k) => 10 ** (k / 2 - 9)).map((value) =>
  Number(value.toPrecision(1)),
);

function scaleOf(values, share, from, to) {
  const known = values.filter((value) => value !== null);
  let [low, high] = [Math.min(...known), Math.max(...known)];
  if (!share) return axis(low * 0.9, high * 1.1, from, to, logarithm, POWERS_OF_TEN);
  const margin = 0.06 * (logit(high) - logit(low)) || 0.1;
  const back = (x) => 1 / (1 + Math.exp(-x));
  return axis(back(logit(low) - margin), back(logit(high) + margin), from, to, logit, SHARES);
}

const shareText = (value) => `${Number((100 * value).toFixed(2))} %`;
const lossText = (value) => Number(value.toPrecision(2)).toString();

function drawing(holder, height, label) {
  const width = Math.max(280, holder.clientWidth);
  return {
    width,
    height,
    node: shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }),
  };
}

function text(x, y, words, properties = {}) {
  return shape("text", { x, y, ...properties }, words);
}

function gridY(node, scale, left, right, written) {
  for (const tick of scale.ticks) {
    const y = scale.place(tick);
    node.append(
      shape("path", { d: `M${left} ${y}H${right}`, class: "grid" }),
      text(left - 8, y + 4, written(tick), { class: "tick", "text-anchor": "end" }),
    );
  }
}

// ------------------------------------------------------------------------------------------ learning curves

class Curves {
  constructor(facts) {
    this.networks = facts.networks;
    this.holder = byId("curve-chart");
    this.field = "val_accuracy";
    this.alone = null;
    this.epoch = null;
    this.tip = element("div", { class: "tip", hidden: true });
    this.buttons = this.networks.map((network, k) => this.legendButton(network, k));
    fill(byId("legend"), this.buttons);
    this.fields = [...document.querySelectorAll("[data-curve]")];
    for (const button of this.fields) button.addEventListener("click", () => this.choose(button.dataset.curve));
    this.holder.tabIndex = 0;
    this.holder.addEventListener("pointermove", (event) => this.hover(event));
    this.holder.addEventListener("pointerleave", () => this.point(null));
    this.holder.addEventListener("blur", () => this.point(null));
    this.holder.addEventListener("keydown", (event) => this.key(event));
  }

  legendButton(network, k) {
    return element(
      "button",
      { type: "button", class: "key", "aria-pressed": "false", onclick: () => this.isolate(k) },
      swatch(k),
      network.name,
    );
  }

  choose(field) {
    this.field = field;
    for (const button of this.fields) button.setAttribute("aria-pressed", String(button.dataset.curve === field));
    this.draw();
  }

  isolate(k) {
    this.alone = this.alone === k ? null : k;
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(this.alone === other)));
    this.draw();
  }

  shown() {
    return this.networks
      .map((network, k) => ({ network, k }))
      .filter(({ k }) => this.alone === null || this.alone === k);
  }

  draw() {
    const share = this.field === "val_accuracy";
    const training = this.field.replace("val_", "");
    const name = share ? "Accuracy" : "Loss";
    const picture = drawing(
      this.holder,
      380,
      `${name} on the validation rows, epoch by epoch. Left and right arrow keys read the values.`,
    );
    const [left, right, top, bottom] = [58, picture.width - 18, 14, picture.height - 40];
    const shown = this.shown();
    const fields = this.alone === null ? [this.field] : [this.field, training];
    const values = shown.flatMap(({ network }) => fields.flatMap((field) => network.history[field]));
    fill(this.holder, picture.node, this.tip);
    if (!values.some((value) => value !== null)) {
      picture.node.append(
        text(picture.width / 2, 180, "these networks were trained without validation rows", {
          "text-anchor": "middle",
          class: "tick",
        }),
      );
      this.across = null;
      return;
    }
    const epochs = Math.max(...shown.flatMap(({ network }) => network.history.epoch));
    const first = Math.min(...shown.flatMap(({ network }) => network.history.epoch));
    const step =
      [1, 2, 5, 10, 20, 50, 100, 1000].find((size) => (epochs - first) / size <= picture.width / 70) ?? epochs;
    const ticks = Array.from({ length: Math.floor(epochs / step) }, (_, k) => (k + 1) * step);
    this.across = axis(first, epochs, left, right, (x) => x, ticks);
    this.up = scaleOf(values, share, bottom, top);
    gridY(picture.node, this.up, left, right, share ? shareText : lossText);
    for (const tick of this.across.ticks)
      picture.node.append(text(this.across.place(tick), bottom + 20, tick, { class: "tick", "text-anchor": "middle" }));
    picture.node.append(text(right, bottom + 36, "epoch", { class: "tick", "text-anchor": "end" }));
    for (const { network, k } of shown) {
      if (this.alone !== null) picture.node.append(this.line(network, k, training, "training"));
      picture.node.append(this.line(network, k, this.field, "line"), ...this.marks(network, k));
    }
    this.hair = shape("path", { class: "hair" });
    picture.node.append(this.hair);
    this.range = [first, epochs];
  }

  points(network, field) {
    return network.history.epoch
      .map((epoch, i) => [epoch, network.history[field][i]])
      .filter(([, value]) => value !== null)
      .map(([epoch, value]) => [this.across.place(epoch), this.up.place(value)]);
  }

  line(network, k, field, kind) {
    const points = this.points(network, field).map((point) => point.map((v) => v.toFixed(1)).join(" "));
    return shape("path", {
      d: points.length ? `M${points.join("L")}` : "",
      class: `${colourClass(k)} ${kind}`,
      "stroke-dasharray": kind === "line" ? dashOf(k) : null,
    });
  }

  // Marks stand at a few epochs, not at the same ones for every network, and at the end.
  marks(network, k) {
    const points = this.points(network, this.field);
    const gap = Math.max(1, Math.round(points.length / 4));
    return points.filter((_, i) => i === points.length - 1 || (i + k) % gap === 0).map(([x, y]) => mark(k, x, y, 0.85));
  }

  hover(event) {
    if (!this.across) return;
    const x = event.clientX - this.holder.getBoundingClientRect().left;
    const [first, last] = this.range;
    const share = (x - this.across.place(first)) / (this.across.place(last) - this.across.place(first) || 1);
    this.point(Math.min(last, Math.max(first, Math.round(first + share * (last - first)))));
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (!(event.key in steps) || !this.across) return;
    event.preventDefault();
    const [first, last] = this.range;
    this.point(Math.min(last, Math.max(first, (this.epoch ?? first - 1) + steps[event.key])));
  }

  point(epoch) {
    this.epoch = epoch;
    this.tip.hidden = epoch === null;
    if (!this.hair) return;
    if (epoch === null) return this.hair.removeAttribute("d");
    const x = this.across.place(epoch);
    this.hair.setAttribute("d", `M${x} 10V340`);
    const rows = this.shown()
      .map(({ network, k }) => ({
        network,
        k,
        value: network.history[this.field][network.history.epoch.indexOf(epoch)] ?? null,
      }))
      .filter(({ value }) => value !== null)
      .sort((a, b) => b.value - a.value);
    const written = (value) => (this.field === "val_accuracy" ? percent(value, 2) : value.toFixed(4));
    fill(
      this.tip,
      element("b", {}, `epoch ${epoch}`),
      rows.map(({ network, k, value }) =>
        element(
          "div",
          {},
          swatch(k),
          element("span", {}, network.name),
          element("span", { class: "value" }, written(value)),
        ),
      ),
    );
    const width = this.tip.offsetWidth;
    const beside = x + 14 + width > this.holder.clientWidth ? x - 14 - width : x + 14;
    this.tip.style.left = `${Math.max(0, beside)}px`;
  }
}

// ------------------------------------------------------------------------------- accuracy against parameters

function drawSizes(facts) {
  const holder = byId("size-chart");
  const networks = facts.networks;
  const picture = drawing(holder, 330, "Validation accuracy against parameters; the table above has the same numbers");
  const [left, right, top, bottom] = [58, picture.width - 12, 14, picture.height - 40];
  const sizes = networks.map((network) => network.parameters);
  const across = axis(
    Math.min(...sizes) / 1.5,
    Math.max(...sizes) * 1.5,
    left,
    right,
    logarithm,
    POWERS_OF_TEN.filter((x, k) => x >= 1 && (picture.width > NARROW || k % 2 === 0)),
  );
  const up = scaleOf(
    networks.map((network) => network.validation[1]),
    true,
    bottom,
    top,
  );
  gridY(picture.node, up, left, right, shareText);
  for (const tick of across.ticks)
    picture.node.append(text(across.place(tick), bottom + 20, whole(tick), { class: "tick", "text-anchor": "middle" }));
  picture.node.append(
    text(right, bottom + 36, "parameters, on a logarithmic axis", { class: "tick", "text-anchor": "end" }),
  );
  const points = networks.map((network) => [across.place(network.parameters), up.place(network.validation[1])]);
  const taken = points.map(([x, y]) => [x - 8, y - 8, x + 8, y + 8]);
  fill(holder, picture.node);
  networks.forEach((network, k) => {
    const [x, y] = points[k];
    const label = `${network.name}: ${whole(network.parameters)} parameters, ${percent(network.validation[1], 2)}`;
    const words = text(x, y, network.name, { class: "label" });
    picture.node.append(shape("g", {}, shape("title", {}, label), mark(k, x, y, 1.2), words));
    placeLabel(words, x, y, taken, left, right);
  });
}

// Beside its mark, above or below it: at the first place where it covers nothing.
function placeLabel(words, x, y, taken, left, right) {
  const width = words.getComputedTextLength();
  const places = [
    [x + 11, y + 4],
    [x - 11 - width, y + 4],
    [x - width / 2, y - 12],
    [x - width / 2, y + 22],
    [x + 6, y - 12],
    [x + 6, y + 22],
    [x - width - 6, y - 12],
    [x - width - 6, y + 22],
  ];
  const boxes = places.map(([a, b]) => [a, b - 12, a + width, b + 3]);
  const inside = (box) => box[0] >= left && box[2] <= right;
  const free = (box) =>
    !taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
  const found = boxes.findIndex((box) => inside(box) && free(box));
  const chosen = found < 0 ? Math.max(0, boxes.findIndex(inside)) : found;
  words.setAttribute("x", places[chosen][0]);
  words.setAttribute("y", places[chosen][1]);
  taken.push(boxes[chosen]);
}

// -------------------------------------------------------------------------------------- the overfitting gap

function drawGaps(facts) {
  const holder = byId("gap-chart");
  const networks = facts.networks.filter((network) => network.train[1] !== null);
  const height = 46 + 42 * networks.length;
  const picture = drawing(holder, height, "Accuracy in training and in validation, and the gap between them");
  const [left, right] = [10, picture.width - 14];
  const values = networks.flatMap((network) => [network.train[1], network.validation[1]]);
  const across = scaleOf(values, true, left + 6, right - 58);
  for (const tick of across.ticks) {
    const x = across.place(tick);
    picture.node.append(
      shape("path", { d: `M${x} 4V${height - 34}`, class: "grid" }),
      text(x, height - 16, shareText(tick), { class: "tick", "text-anchor": "middle" }),
    );
  }
  networks.forEach((network, i) => {
    const y = 30 + 42 * i;
    const [train, validation] = [across.place(network.train[1]), across.place(network.validation[1])];
    const k = facts.networks.indexOf(network);
    const gap = 100 * (network.train[1] - network.validation[1]);
    const label = `${network.name}: ${percent(network.train[1], 2)} in training, ${percent(network.validation[1], 2)} in validation`;
    picture.node.append(
      shape(
        "g",
        { class: colourClass(k) },
        shape("title", {}, label),
        text(left, y - 10, network.name, { class: "label" }),
        shape("path", { d: `M${validation} ${y}H${train}`, class: "bar" }),
        shape("circle", { cx: validation, cy: y, r: 5.5, class: "full" }),
        shape("circle", { cx: train, cy: y, r: 5.5, class: "hollow" }),
        text(right, y + 4, `${gap.toFixed(1).replace("-", "−")} pts`, { class: "tick", "text-anchor": "end" }),
      ),
    );
  });
  fill(holder, picture.node);
}
