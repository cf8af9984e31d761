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
    this.facts = facts;
    this.step = facts.backprop;
    this.picture = facts.pictures ? 28 : null;
    this.cards = [];
    this.build();
    this.at = null;
  }

  build() {
    const { step } = this;
    const forward = [this.inputCard(), ...step.steps.map((layer, i) => this.forwardCard(layer, i + 1))];
    const backward = [this.arrivedCard(), ...step.steps.map((layer, i) => this.backwardCard(layer, i + 1))];
    const loss = this.lossCard();
    this.cards = [...forward, loss, ...backward.toReversed()];
    const rows = forward.length;
    forward.forEach((card, i) => placeCard(card, 1, i + 2));
    backward.forEach((card, i) => placeCard(card, 2, i + 2));
    loss.style.setProperty("--row", rows + 2);
    const heads = ["forward ↓", "↑ backward"].map((words) => element("p", { class: "way" }, words));
    fill(
      byId("backprop-page"),
      this.intro(),
      this.controls(),
      element("div", { class: "flow" }, heads, this.cards),
      this.updateCard(),
    );
  }

  intro() {
    const { network, row, label } = this.step;
    const what = `a ${this.picture ? "picture" : "row"} of class ${label}`;
    return element(
      "p",
      {},
      "The network ",
      element("b", {}, element("bdi", {}, network)),
      `, the smallest here that can train on a single row, gets ${what} (validation row ${row}) as a batch of N = 1. `,
      "All numbers come from tinynet's own layers, in double precision. The formulas are from functions.py or from a ",
      "layer's docstring.",
    );
  }

  controls() {
    this.words = element("p", { class: "step-words", role: "status" }, STEP_HINT);
    const button = (label, press) => element("button", { type: "button", onclick: press }, label);
    this.all = button("Show all", () => this.go(null));
    return element(
      "div",
      { class: "stepper" },
      element(
        "div",
        { class: "buttons" },
        button("← Back", () => this.walk(-1)),
        button("Next step →", () => this.walk(1)),
        this.all,
      ),
      this.words,
    );
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
    fill(this.words, element("b", {}, `${at + 1} of ${this.cards.length}. `), this.cards[at].dataset.words);
    this.cards[at].scrollIntoView({ block: "nearest", behavior: moves() ? "smooth" : "auto" });
  }

  // --------------------------------------------------------------------------------------------- cards

  inputCard() {
    const { x } = this.step;
    const shown = this.picture
      ? drawDigit(
          element("canvas", { class: "ink big", width: 28, height: 28, role: "img", "aria-label": "the digit" }),
          Uint8Array.from(x, (value) => 255 * value),
        )
      : strip(x);
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
    const weights = layer.W
      ? [
          size(`W ${layer.shape.join(" × ")}, largest magnitude ${strongest(layer.W).toPrecision(2)}`),
          this.weights(layer, layer.W, "weights"),
        ]
      : [];
    return card("", `${number}. ${layer.name}`, words, [
      formula(layer.formulas[0]),
      weights,
      size("y", layer.y.length),
      this.numbers(layer.y, layer.maps[0]),
    ]);
  }

  backwardCard(layer, number) {
    const words = LAYER_WORDS[layer.kind]?.[1] ?? "The backward pass computes dx from dy.";
    const first = number === 1;
    const weights = layer.dW
      ? [
          size(`dW ${layer.shape.join(" × ")}, largest magnitude ${strongest(layer.dW).toPrecision(2)}`),
          this.weights(layer, layer.dW, "gradient"),
          size("db", layer.db.length),
          strip(layer.db),
        ]
      : [];
    const inputGradient = first ? [] : [size("dx", layer.dx.length), this.numbers(layer.dx, layer.maps[1])];
    return card("gradient", `${number}. ${layer.name}`, words, [
      layer.formulas.slice(1).map(formula),
      inputGradient,
      weights,
    ]);
  }

  numbers(values, maps) {
    return this.picture && maps ? mapsOf(values, maps, strongest(values)) : strip(values);
  }

  // A picture for each unit if the inputs are pixels, and for each kernel of a convolution; otherwise the matrix, with
  // a single column shown as a row.
  weights({ shape, kind }, values, what) {
    const [D, M] = shape;
    const scale = strongest(values);
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
      return element(
        "tr",
        { class: truth ? "truth" : "" },
        element("th", { scope: "row" }, first + k, truth ? " ←" : ""),
        cellOf(p),
        cellOf(loss.t[k]),
        cellOf(loss.dz[k], strongest(loss.dz)),
      );
    });
    const head = element(
      "tr",
      {},
      ["class", "p", "t", "dL/dz"].map((name) => element("th", { scope: "col" }, name)),
    );
    const table = element("table", { class: "loss" }, element("thead", {}, head), element("tbody", {}, columns));
    const value = element("p", { class: "loss-value" }, "L = ", element("b", {}, loss.value.toFixed(4)));
    return card(
      "turn",
      loss.name,
      WORDS.loss,
      element("div", { class: "loss-row" }, element("div", {}, loss.formulas.map(formula), value), table),
    );
  }

  updateCard() {
    const { update, loss, label } = this.step;
    const change = `${loss.value.toFixed(4)} → ${update.loss.toFixed(4)}`;
    const chance = update.chances.map((p) => percent(p)).join(" → ");
    return element(
      "div",
      { class: "update" },
      element("h3", {}, "Update of the parameters"),
      element("p", { class: "formula" }, `theta ← theta − ${update.lr} · grad`),
      element(
        "p",
        {},
        `One SGD step against this gradient changes ${whole(update.parameters)} parameters slightly. `,
        "The same row before and after the step:",
      ),
      element(
        "dl",
        {},
        element("dt", {}, "loss"),
        element("dd", {}, change),
        element("dt", {}, `probability of ${label}`),
        element("dd", {}, chance),
        element("dt", {}, "norm of the gradient"),
        element("dd", {}, update.gradient_norm.toFixed(3)),
      ),
    );
  }
}

function card(kind, title, words, content) {
  return element(
    "article",
    { class: `card ${kind}`, "data-words": words },
    element("h3", {}, title),
    element("p", { class: "words" }, words),
    content,
  );
}

function placeCard(node, column, row) {
  node.style.setProperty("--column", column);
  node.style.setProperty("--row", row);
}

// "name: y = x W + b        shapes" as a formula, with its shapes below.
function formula(words) {
  const [, name, rest] = words.match(/^(\w+): (.*)$/) ?? [null, null, words];
  const [equation, ...shapes] = rest.split(/ {2,}/);
  return element(
    "p",
    { class: "formula", title: name },
    equation,
    shapes.length ? element("small", {}, shapes.join(" ")) : null,
  );
}

function size(name, count = null) {
  return element("p", { class: "size" }, count === null ? name : `${name}, ${plural(count, "number")}`);
}

// Numbers as colored cells, with their values if they are few.
function strip(values) {
  const scale = strongest(values);
  if (values.length > MOST_WRITTEN)
    return numbersCanvas(values, Math.min(60, values.length), scale, plural(values.length, "number"));
  const cells = values.map((value) => {
    const color = element("i");
    color.style.background = colorOf(value, scale);
    return element(
      "span",
      { class: "cell", title: value },
      color,
      element("small", {}, plain(value)),
    );
  });
  return element("div", { class: "cells" }, cells);
}

function matrix(values, width, scale, what) {
  const canvas = numbersCanvas(values, width, scale, `${what}, ${values.length / width} by ${width}`);
  canvas.classList.add("matrix");
  canvas.style.setProperty("--columns", width);
  return canvas;
}

function cellOf(value, scale = 0) {
  const cell = element("td", {}, plain(value));
  if (scale) cell.style.background = colorOf(value, 2 * scale);
  return cell;
}
