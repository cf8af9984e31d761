// The forward pass of a network for one row, with the formulas of tinynet/functions.py.
// A layer is { kind, ... }; a Dense has inputs D, outputs M, W (D x M, row by row) and b (M); a Residual has layers.
// Pictures are square, (channels, side, side), with all their numbers in one row.

// y = x W + b. Most pixels are 0, so rows of W that would be multiplied by 0 are skipped.
function dense(x, { inputs, outputs, W, b }) {
  const y = Float64Array.from(b);
  for (let i = 0; i < inputs; i++) {
    const xi = x[i];
    if (xi === 0) continue;
    for (let j = 0, at = i * outputs; j < outputs; j++, at++) y[j] += xi * W[at];
  }
  return y;
}

// y = W patches(x) + b
function conv2d(x, { inputs, outputs, kernel_size: kernel, stride, padding, W, b }) {
  const { rows, side } = framed(x, inputs, padding);
  const at = (m, i, j) => {
    let sum = b[m];
    for (let c = 0, k = m * inputs * kernel ** 2; c < inputs; c++)
      for (let p = 0; p < kernel; p++) {
        const start = (c * side + i * stride + p) * side + j * stride;
        for (let q = 0; q < kernel; q++, k++) sum += W[k] * rows[start + q];
      }
    return sum;
  };
  return everywhere(outputs, Math.floor((side - kernel) / stride) + 1, at);
}

// Add `padding` zeros on every side of the pictures.
function framed(x, channels, padding) {
  const inner = Math.sqrt(x.length / channels);
  const side = inner + 2 * padding;
  const rows = new Float64Array(channels * side * side);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < inner; i++) {
      const start = (c * inner + i) * inner;
      rows.set(x.subarray(start, start + inner), (c * side + i + padding) * side + padding);
    }
  return { rows, side };
}

function everywhere(channels, side, at) {
  const y = new Float64Array(channels * side * side);
  for (let c = 0, k = 0; c < channels; c++)
    for (let i = 0; i < side; i++) for (let j = 0; j < side; j++, k++) y[k] = at(c, i, j);
  return y;
}

// Apply `gather` to the numbers of each patch.
function pool(x, { channels, pool_size: size }, gather) {
  const side = Math.sqrt(x.length / channels);
  const inside = (c, i, j) =>
    Array.from({ length: size * size }, (_, k) => {
      const row = c * side + i * size + Math.floor(k / size);
      return x[row * side + j * size + (k % size)];
    });
  return everywhere(channels, Math.floor(side / size), (c, i, j) => gather(inside(c, i, j)));
}

function globalAveragePool(x, { channels }) {
  const pixels = x.length / channels;
  return Float64Array.from({ length: channels }, (_, c) => mean(x.subarray(c * pixels, (c + 1) * pixels)));
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// y = gamma (x - mean) / sqrt(variance + eps) + beta, with the running mean and variance
function batchNorm(x, { features, gamma, beta, mean, variance, eps }) {
  const pixels = x.length / features;
  return x.map((value, i) => {
    const c = Math.floor(i / pixels);
    return (gamma[c] * (value - mean[c])) / Math.sqrt(variance[c] + eps) + beta[c];
  });
}

// The same with the mean and variance of the row.
function layerNorm(x, { gamma, beta, eps }) {
  const middle = mean(x);
  const deviation = Math.sqrt(mean(x.map((value) => (value - middle) ** 2)) + eps);
  return x.map((value, i) => (gamma[i] * (value - middle)) / deviation + beta[i]);
}

// y = x P(x), P(x) = (1 + erf(x / sqrt 2)) / 2
function gelu(x) {
  return x.map((value) => (value * (1 + erf(value * Math.SQRT1_2))) / 2);
}

// Abramowitz and Stegun 1964, 7.1.6: a series without cancellation. Beyond 6, the result is 1 in double precision.
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
  conv2d,
  max_pool2d: (x, layer) => pool(x, layer, (values) => Math.max(...values)),
  average_pool2d: (x, layer) => pool(x, layer, mean),
  global_average_pool: globalAveragePool,
  batch_norm: batchNorm,
  layer_norm: layerNorm,
  relu: (x) => x.map((value) => Math.max(value, 0)),
  leaky_relu: (x, { slope }) => x.map((value) => Math.max(value, slope * value)),
  tanh: (x) => x.map(Math.tanh),
  sigmoid: (x) => x.map(logistic),
  chances: ([z]) => Float64Array.of(1 - logistic(z), logistic(z)), // both classes of a network with one output
  flatten: (x) => x, // pictures are already stored as rows
  dropout: (x) => x, // acts only in training
};

const apply = (layer, x) => MAPS[layer.kind](x, layer);

// The input and the output of each layer. The last output is the probabilities.
function forward(layers, x) {
  const outputs = [x];
  for (const layer of layers) outputs.push(apply(layer, outputs.at(-1)));
  return outputs;
}

// Scale pixels from 0 to 255 to the range of a network's inputs, 0 to 1.
function rowOf(pixels) {
  const scale = Math.fround(1 / 255);
  return Float64Array.from(pixels, (pixel) => Math.fround(pixel * scale));
}

// Cut the parameter vector theta into the layers' views, as tinynet/network.py does. Each layer also gets the number
// of its input channels, and of its output maps, which is 0 if its output is a row.
function withViews(layers, theta) {
  let [start, maps] = [0, 1];
  const view = (size) => theta.subarray(start, (start += size));
  const views = {
    dense: ({ inputs, outputs }) => ({ W: view(inputs * outputs), b: view(outputs) }),
    conv2d: ({ inputs, outputs, kernel_size: kernel }) => ({ W: view(outputs * inputs * kernel ** 2), b: view(outputs) }),
    batch_norm: ({ features }) => ({ gamma: view(features), beta: view(features) }),
    layer_norm: ({ features }) => ({ gamma: view(features), beta: view(features) }),
    residual: ({ layers, shortcut }) => {
      const before = maps;
      const inside = layers.map(cut);
      maps = before;
      return { layers: inside, shortcut: shortcut && cut(shortcut) };
    },
  };
  const cut = (layer) => {
    const channels = maps;
    const found = views[layer.kind]?.(layer);
    if (layer.kind === "conv2d") maps = layer.outputs;
    if (ROWS.includes(layer.kind)) maps = 0;
    return { ...layer, ...found, channels, maps };
  };
  return layers.map(cut);
}

const ROWS = ["dense", "flatten", "global_average_pool"];
const OF_PIXELS = ["dense", "residual", "conv2d", "max_pool2d", "average_pool2d", "global_average_pool"];

// The index of the Dense or convolution that takes the pixels, or -1. A Residual has none, because its shortcut also
// takes the pixels, and a convolution of several channels has none, because its kernels are not pictures.
function indexOfFilters(layers) {
  const first = layers.findIndex(({ kind }) => OF_PIXELS.includes(kind));
  const { kind, inputs } = layers[first] ?? {};
  return kind === "dense" || (kind === "conv2d" && inputs === 1) ? first : -1;
}
