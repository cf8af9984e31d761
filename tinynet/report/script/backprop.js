// One step of backpropagation: the values go down on the left, meet the loss, and the gradient comes up on the right.

const LAYER_WORDS = {
  dense: [
    "Each unit multiplies what comes in by its weights, adds it up, and adds its bias.",
    "What comes back is shared out along the same weights; each weight learns what came in times what came back.",
  ],
  relu: ["What is below zero becomes zero.", "Where it gave zero, nothing flows back."],
  leaky_relu: ["What is below zero becomes small.", "Where it was below zero, little flows back."],
  tanh: ["What comes in is squeezed between -1 and 1.", "Near -1 and 1, where the curve is flat, little flows back."],
  sigmoid: ["What comes in is squeezed between 0 and 1.", "Near 0 and 1, where the curve is flat, little flows back."],
  gelu: ["What is far below zero becomes zero, softly.", "Where the curve is flat, little flows back."],
  softmax: ["Exponentials, divided by their sum: probabilities.", "To raise one probability is to lower the others."],
  dropout: ["Some values are left out, the others scaled up.", "What was left out gets no gradient."],
  conv2d: [
    "A small kernel slides over the picture with the same weights at every position. Each map has its own kernel.",
    "Every position of the kernel sends its share back. Each weight sums its gradient over all positions.",
  ],
  max_pool2d: ["The largest number of each small patch is kept.", "Only the largest number of a patch gets a gradient."],
  average_pool2d: ["Each small patch becomes its mean.", "All numbers of a patch get the same share."],
  global_average_pool: ["Each map becomes one number, its mean.", "All pixels of a map get the same share."],
  batch_norm: [
    "Each feature gets mean 0 and variance 1 over the batch, here of one picture, then a mean and spread of its own.",
    "What would only move the mean or the spread does not flow back.",
  ],
  layer_norm: [
    "The row gets mean 0 and variance 1, then each feature a mean and spread of its own.",
    "What would only move the row's mean or its spread does not flow back.",
  ],
  flatten: ["The same numbers, in one row.", "The same gradients, in the shape that came in."],
  residual: [
    "What the layers inside give is added to what went around them.",
    "The gradient goes back both ways, through the layers inside and around them, and is added up.",
  ],
};
const WORDS = {
  loss: "How surprised the network is by the truth. Its gradient is where the way back begins.",
  start: "The row that goes in.",
  end: "The gradient has reached the input: more where it is blue would lower the loss, where it is orange raise it.",
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
      "The smallest network that one row can train, ",
      element("b", {}, element("bdi", {}, network)),
      `, is shown ${what} (validation row ${row}). tinynet's own layers computed every number here, in double `,
      "precision, with this row as the whole batch (N = 1). The formulas are those of functions.py, or a layer's own.",
    );
  }

  controls() {
    this.words = element("p", { class: "step-words", role: "status" }, "Walk through it, or read it all.");
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
    if (at === null) return fill(this.words, "Walk through it, or read it all.");
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
          size(`W ${layer.shape.join(" × ")}, largest ${strongest(layer.W).toPrecision(2)}`),
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
    const words = LAYER_WORDS[layer.kind]?.[1] ?? "Its backward hands the gradient on.";
    const first = number === 1;
    const weights = layer.dW
      ? [
          size(`dW ${layer.shape.join(" × ")}, largest ${strongest(layer.dW).toPrecision(2)}`),
          this.weights(layer, layer.dW, "gradient"),
          size("db", layer.db.length),
          strip(layer.db),
        ]
      : [];
    const handedOn = first ? [] : [size("dx", layer.dx.length), this.numbers(layer.dx, layer.maps[1])];
    return card("gradient", `${number}. ${layer.name}`, words, [
      layer.formulas.slice(1).map(formula),
      handedOn,
      weights,
    ]);
  }

  numbers(values, maps) {
    return this.picture && maps ? mapsOf(values, maps, strongest(values)) : strip(values);
  }

  // A picture for each unit where the inputs are pixels, and for each kernel of a convolution, else the matrix itself,
  // lying down if it is a single column.
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
    const first = loss.p.length === 1 ? 1 : 0; // one output speaks of the second class
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
      element("h3", {}, "What it was for"),
      element("p", { class: "formula" }, `theta ← theta − ${update.lr} · grad`),
      element(
        "p",
        {},
        `One step of SGD against this gradient moves ${whole(update.parameters)} parameters a little; `,
        "then the same row goes in again:",
      ),
      element(
        "dl",
        {},
        element("dt", {}, "loss"),
        element("dd", {}, change),
        element("dt", {}, `probability of ${label}`),
        element("dd", {}, chance),
        element("dt", {}, "length of the gradient"),
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

// Numbers as colored cells; where they are few, written too.
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
