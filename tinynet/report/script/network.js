// The forward pass of a network for one row, with the formulas of tinynet/functions.py.
// A layer is { kind, ... }; a Dense has inputs D, outputs M, W (D x M, row by row) and b (M).

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

// y = max(x, 0)
function relu(x) {
  return x.map((value) => Math.max(value, 0));
}

// y_k = exp(x_k) / sum_j exp(x_j), shifted by the largest x first
function softmax(x) {
  const largest = x.reduce((a, b) => Math.max(a, b));
  const e = x.map((value) => Math.exp(value - largest));
  const sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
}

const MAPS = {
  dense,
  relu,
  softmax,
  dropout: (x) => x, // it acts in training alone
};

// Everything that passes through: what goes in, what each layer gives, and the probabilities.
function forward(layers, x) {
  const outputs = [x];
  for (const layer of layers) outputs.push(MAPS[layer.kind](outputs.at(-1), layer));
  const last = outputs.at(-1);
  const probabilities = layers.at(-1).kind === "softmax" ? last : softmax(last);
  return { outputs, probabilities };
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
  return layers.map((layer) =>
    layer.kind === "dense" ? { ...layer, W: window(layer.inputs * layer.outputs), b: window(layer.outputs) } : layer,
  );
}
