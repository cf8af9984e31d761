// The forward pass of a network for one row, with the formulas of tinynet/functions.py.
// A layer is { kind, ... }; a Dense has inputs D, outputs M, W (D x M, row by row) and b (M); a Residual has layers.

// y = x W + b. Most pixels are 0, and a row of W that is multiplied by 0 is skipped.
function dense(x, { inputs, outputs, W, b }) {
  const y = Float64Array.from(b);
  for (let i = 0; i < inputs; i++) {
    const xi = x[i];
    if (xi === 0) continue;
    for (let j = 0, at = i * outputs; j < outputs; j++, at++) y[j] += xi * W[at];
  }
  return y;
}

// y = x P(x), P(x) = (1 + erf(x / sqrt 2)) / 2
function gelu(x) {
  return x.map((value) => (value * (1 + erf(value * Math.SQRT1_2))) / 2);
}

// Abramowitz and Stegun 1964: 7.1.6, a series without cancellation, up to where 1 is all that a double can say.
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

// y = x + layers(x), or shortcut(x) + layers(x)
function residual(x, { layers, shortcut }) {
  const around = shortcut ? apply(shortcut, x) : x;
  return layers.reduce((y, layer) => apply(layer, y), x).map((value, i) => value + around[i]);
}

// y_k = exp(x_k) / sum_j exp(x_j), shifted by the largest x first
function softmax(x) {
  const largest = x.reduce((a, b) => Math.max(a, b));
  const e = x.map((value) => Math.exp(value - largest));
  const sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
}

const logistic = (x) => 1 / (1 + Math.exp(-x));

const MAPS = {
  dense,
  gelu,
  residual,
  softmax,
  relu: (x) => x.map((value) => Math.max(value, 0)),
  leaky_relu: (x, { slope }) => x.map((value) => Math.max(value, slope * value)),
  tanh: (x) => x.map(Math.tanh),
  sigmoid: (x) => x.map(logistic),
  chances: ([z]) => Float64Array.of(1 - logistic(z), logistic(z)), // of both classes, where there is one output
  flatten: (x) => x, // pictures are rows here already
  dropout: (x) => x, // it acts in training alone
};

const apply = (layer, x) => MAPS[layer.kind](x, layer);

// Everything that passes through: what goes in and what each layer gives, the probabilities at last.
function forward(layers, x) {
  const outputs = [x];
  for (const layer of layers) outputs.push(apply(layer, outputs.at(-1)));
  return { outputs, probabilities: outputs.at(-1) };
}

// Pixels 0 to 255 as a network takes them, 0 to 1.
function rowOf(pixels) {
  const scale = Math.fround(1 / 255);
  return Float64Array.from(pixels, (pixel) => Math.fround(pixel * scale));
}

// Cuts one vector of parameters, theta, into the layers' windows, as tinynet/network.py does.
function withWindows(layers, theta) {
  let start = 0;
  const window = (size) => theta.subarray(start, (start += size));
  const cut = (layer) => {
    if (layer.kind === "dense")
      return { ...layer, W: window(layer.inputs * layer.outputs), b: window(layer.outputs) };
    if (layer.kind === "residual")
      return { ...layer, layers: layer.layers.map(cut), shortcut: layer.shortcut && cut(layer.shortcut) };
    return layer;
  };
  return layers.map(cut);
}

// The place of the Dense that meets the pixels, or -1: a Residual has ways around the ones inside it.
function placeOfFilters(layers) {
  const first = layers.findIndex(({ kind }) => kind === "dense" || kind === "residual");
  return layers[first]?.kind === "dense" ? first : -1;
}
