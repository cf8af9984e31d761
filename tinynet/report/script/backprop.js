// One step of backpropagation: the forward pass on the left, downwards, and the backward pass on the right, upwards.

const LAYER_WORDS = {
  dense: [
    "Each unit computes the weighted sum of its inputs and adds its bias.",
    "The input gradient is dy times the same weights. The gradient of a weight is its input times dy.",
  ],
  relu: ["Negative values become zero.", "The gradient is zero wherever the output is zero."],
  leaky_relu: ["Negative values become small.", "The gradient is small wherever the input is negative."],
  tanh: ["Inputs are mapped to values between -1 and 1.", "Near -1 and 1 the gradient is small."],
  sigmoid: ["Inputs are mapped to values between 0 and 1.", "Near 0 and 1 the gradient is small."],
  gelu: ["A smooth ReLU: very negative values become zero.", "Where the function is flat, the gradient is small."],
  softmax: ["The exponentials, divided by their sum, are probabilities.", "Raising one probability lowers the others."],
  dropout: ["Random values become zero, the others are scaled up.", "Values that became zero get no gradient."],
  conv2d: [
    "A small kernel slides over the picture with the same weights at every position. Each map has its own kernel.",
    "The input gradient sums over all kernel positions. So does the gradient of each weight.",
  ],
  max_pool2d: ["Each patch becomes its largest value.", "Only the largest value of a patch gets a gradient."],
  average_pool2d: ["Each patch becomes its mean.", "All values of a patch get the same gradient."],
  global_average_pool: ["Each map becomes one number, its mean.", "All pixels of a map get the same gradient."],
  batch_norm: [
    "Each feature is normalized to mean 0 and variance 1 over the batch (here one picture), then scaled and shifted.",
    "The part of the gradient that would only change the mean or the variance is removed.",
  ],
  layer_norm: [
    "The row is normalized to mean 0 and variance 1, then each feature is scaled and shifted.",
    "The part of the gradient that would only change the mean or the variance of the row is removed.",
  ],
  flatten: ["The same numbers as one row.", "The same gradients in the shape of the input."],
  residual: [
    "The output of the layers inside is added to the shortcut.",
    "The gradient flows back through the layers inside and through the shortcut, and the two are added.",
  ],
};
const STEP_HINT = "Go through the steps one by one, or read them all below.";
const WORDS = {
  loss: "The loss compares the probabilities p with the targets t. The backward pass starts with its gradient.",
  start: "The input row.",
  end: "The gradient at the input. Increasing a blue value would lower the loss; increasing an orange one would raise it.",
};

class Backprop {
  constructor(facts) {
    this.picture = facts.pictures;
    this.step = facts.backprop;
    this.at = null;
    this.build();
  }

  build() {
    const { step } = this;
    const forward = [this.inputCard(), ...step.steps.map((layer, i) => this.forwardCard(layer, i + 1))];
    const backward = [this.arrivedCard(), ...step.steps.map((layer, i) => this.backwardCard(layer, i + 1))];
    const loss = this.lossCard();
    this.cards = [...forward, loss, ...backward.toReversed()];
    [forward, backward].forEach((cards, k) => cards.forEach((card, i) => placeCard(card, k + 1, i + 2)));
    placeCard(loss, 1, forward.length + 2);
    const heads = ["forward ↓", "↑ backward"].map((words) => element("p.way", words));
    const flow = element("div.flow", heads, this.cards);
    fill(byId("backprop-page"), this.intro(), this.controls(), flow, this.updateCard());
  }

  intro() {
    const { network, row, label } = this.step;
    const what = `a ${this.picture ? "picture" : "row"} of class ${label}`;
    return element("p",
      "The network ",
      element("b", element("bdi", network)),
      `, the smallest here that can train on a single row, gets ${what} (validation row ${row}) as a batch of N = 1. `,
      "All numbers come from tinynet's own layers, in double precision. The formulas are from functions.py or from a ",
      "layer's docstring.",
    );
  }

  controls() {
    this.words = element("p.step-words", { role: "status" }, STEP_HINT);
    const button = (label, press) => element("button", { onclick: press }, label);
    const buttons = [
      button("← Back", () => this.walk(-1)),
      button("Next step →", () => this.walk(1)),
      button("Show all", () => this.go(null)),
    ];
    return element("div.stepper", element("div.buttons", buttons), this.words);
  }

  walk(way) {
    const next = this.at === null ? (way > 0 ? 0 : this.cards.length - 1) : this.at + way;
    this.go(next >= 0 && next < this.cards.length ? next : null);
  }

  go(at) {
    this.at = at;
    this.cards.forEach((card, k) => {
      card.classList.toggle("now", k === at);
      card.classList.toggle("later", at !== null && k > at);
    });
    if (at === null) return fill(this.words, STEP_HINT);
    fill(this.words, element("b", `${at + 1} of ${this.cards.length}. `), this.cards[at].dataset.words);
    this.cards[at].scrollIntoView({ block: "nearest", behavior: moves() ? "smooth" : "auto" });
  }

  // --------------------------------------------------------------------------------------------- cards

  inputCard() {
    const { x } = this.step;
    const gray = (value) => 255 * value;
    const shown = this.picture
      ? digitCanvas(Uint8Array.from(x, gray), { role: "img", "aria-label": "the digit" })
      : strip(x);
    shown.classList.add("big");
    return card("input", "x", WORDS.start, [size("x", x.length), shown]);
  }

  arrivedCard() {
    const { dx } = this.step;
    const shown = this.picture ? numbersCanvas(dx, 28, strongest(dx), "the gradient at each pixel") : strip(dx);
    shown.classList.add("big");
    return card("gradient", "dL/dx", WORDS.end, [size("dL/dx at the input", dx.length), shown]);
  }

  forwardCard(layer, number) {
    const [words] = LAYER_WORDS[layer.kind] ?? [layer.formulas[0]];
    const output = [size("y", layer.y.length), this.numbers(layer.y, layer.maps[0])];
    const parameters = this.parameters(layer, "", "weights");
    const left = layer.shape && !layer.W ? size(`W ${layer.shape.join(" × ")}: too large to be shown here`) : [];
    return card("", `${number}. ${layer.name}`, words, [formula(layer.formulas[0]), left, parameters, output]);
  }

  backwardCard(layer, number) {
    const words = LAYER_WORDS[layer.kind]?.[1] ?? "The backward pass computes dx from dy.";
    const dx = number === 1 ? [] : [size("dx", layer.dx.length), this.numbers(layer.dx, layer.maps[1])];
    const gradients = this.parameters(layer, "d", "gradient");
    return card("gradient", `${number}. ${layer.name}`, words, [layer.formulas.slice(1).map(formula), dx, gradients]);
  }

  // The parameters of the layer, or their gradients if the prefix is "d". A frozen layer has no gradients.
  parameters(layer, prefix, what) {
    const names = layer.parameters.map((name) => prefix + name).filter((name) => layer[name]);
    const isW = (name) => layer.shape && name === `${prefix}W`;
    const vector = (name) => [size(name, layer[name].length), strip(layer[name])];
    return names.flatMap((name) => (isW(name) ? this.weights(layer, name, what) : vector(name)));
  }

  numbers(values, maps) {
    return this.picture && maps ? mapsOf(values, maps, strongest(values)) : strip(values);
  }

  // W or dW below its size.
  weights(layer, name, what) {
    const values = layer[name];
    const scale = strongest(values);
    const words = `${name} ${layer.shape.join(" × ")}, largest magnitude ${scale.toPrecision(2)}`;
    return [size(words), this.weightPictures(layer, values, scale, what)];
  }

  // A picture for each unit if the inputs are pixels, and for each kernel of a convolution; otherwise the matrix, with
  // a single column shown as a row.
  weightPictures({ shape, kind }, values, scale, what) {
    const [D, M] = shape;
    if (kind === "conv2d") return mapsOf(values, D * M, scale, `${what} of kernel`);
    if (!this.picture || D !== 784) return M === 1 ? strip(values) : matrix(values, M, scale, what);
    const columnOf = (j) => filterOf({ inputs: D, outputs: M, W: values }, j);
    const pictures = Array.from({ length: M }, (_, j) => unitPicture(columnOf(j), scale, `${what} of unit ${j}`));
    return unitGroup("units small", pictures);
  }

  lossCard() {
    const { loss, label } = this.step;
    const first = loss.p.length === 1 ? 1 : 0; // a single output is the probability of the second class
    const columns = loss.p.map((p, k) => {
      const truth = first + k === label;
      return element("tr", { class: truth ? "truth" : "" },
        element("th", { scope: "row" }, first + k, truth ? " ←" : ""),
        cellOf(p),
        cellOf(loss.t[k]),
        cellOf(loss.dz[k], strongest(loss.dz)),
      );
    });
    const head = element("tr", ["class", "p", "t", "dL/dz"].map((name) => element("th", { scope: "col" }, name)));
    const table = element("table.loss", element("thead", head), element("tbody", columns));
    const value = element("p.loss-value", "L = ", element("b", loss.value.toFixed(4)));
    const content = element("div.loss-row", element("div", loss.formulas.map(formula), value), table);
    return card("turn", loss.name, WORDS.loss, content);
  }

  updateCard() {
    const { update, loss, label } = this.step;
    const change = (value) => value.toPrecision(3).replace("-", "−");
    const figures = {
      loss: `${loss.value.toFixed(4)} → ${update.loss.toFixed(4)}`,
      "change of the loss": change(update.loss - loss.value),
      "change predicted by the first order, −lr |grad|²": change(update.predicted_change),
      [`probability of ${label}`]: update.chances.map((p) => percent(p)).join(" → "),
      "norm of the gradient": update.gradient_norm.toFixed(3),
    };
    return element("div.update",
      element("h3", "Update of the parameters"),
      element("p.formula", `theta ← theta − ${update.lr} · grad`),
      element("p",
        `One SGD step against this gradient changes ${whole(update.parameters)} parameters slightly. `,
        "The two changes of the loss agree if the step is small. The same row before and after the step:",
      ),
      element("dl", Object.entries(figures).map(([name, text]) => [element("dt", name), element("dd", text)])),
    );
  }
}

function card(kind, title, words, content) {
  const properties = { class: `card ${kind}`, "data-words": words };
  return element("article", properties, element("h3", title), element("p.words", words), content);
}

function placeCard(node, column, row) {
  node.style.setProperty("--column", column);
  node.style.setProperty("--row", row);
}

// "name: y = x W + b        shapes" as a formula, with its shapes below.
function formula(words) {
  const [, name, rest] = words.match(/^(\w+): (.*)$/) ?? [null, null, words];
  const [equation, ...shapes] = rest.split(/ {2,}/);
  return element("p.formula", { title: name }, equation, shapes.length ? element("small", shapes.join(" ")) : null);
}

function size(name, count = null) {
  return element("p.size", count === null ? name : `${name}, ${plural(count, "number")}`);
}

// Numbers as colored cells, with their values if they are few.
function strip(values) {
  const scale = strongest(values);
  if (values.length > MOST_WRITTEN)
    return numbersCanvas(values, Math.min(60, values.length), scale, plural(values.length, "number"));
  return element("div.cells", values.map((value) => numberCell(value, scale)));
}

function matrix(values, width, scale, what) {
  const canvas = numbersCanvas(values, width, scale, `${what}, ${values.length / width} by ${width}`);
  canvas.classList.add("matrix");
  canvas.style.setProperty("--columns", width);
  return canvas;
}

function cellOf(value, scale = 0) {
  return element("td", { style: scale ? { background: colorOf(value, 2 * scale) } : {} }, plain(value));
}
