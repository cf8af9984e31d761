// Axes, ticks, grids and labels, shared by all charts.

const FEWEST_TICKS = 3;

// An axis maps values to positions. Its ticks are the `candidates` inside, or round values if too few are.
function axis(low, high, from, to, bend, candidates) {
  const [a, b] = [bend(low), bend(high)];
  const position = (value) => from + ((bend(value) - a) / (b - a || 1)) * (to - from);
  const inside = candidates.filter((tick) => tick >= low && tick <= high);
  const enough = high < 10 * low ? FEWEST_TICKS : 2;
  return { position, ticks: inside.length < enough ? roundTicks(low, high) : inside };
}

// Three to five multiples of 1, 2 or 5 times a power of ten.
function roundTicks(low, high) {
  if (!(high > low)) return [low];
  for (let power = Math.ceil(Math.log10(high - low)); ; power--)
    for (const digit of [5, 2, 1]) {
      const ticks = multiples(low, high, digit, power);
      if (ticks.length >= FEWEST_TICKS) return thinned(ticks, 5);
    }
}

// Drop every second tick until at most `most` are left.
function thinned(ticks, most) {
  return ticks.length > most ? thinned(ticks.filter((_, k) => k % 2 === 0), most) : ticks;
}

// Keep the ticks that leave room for the label before them.
function apart(ticks, position, room) {
  const kept = [];
  for (const tick of ticks) if (!kept.length || position(tick) - position(kept.at(-1)) >= room) kept.push(tick);
  return kept;
}

function multiples(low, high, digit, power) {
  const at = (k) => Number(`${k * digit}e${power}`);
  const first = Math.ceil(low / at(1));
  const count = Math.max(0, Math.floor(high / at(1)) - first + 1);
  return Array.from({ length: count }, (_, k) => at(first + k));
}

const logarithm = (value) => Math.log10(Math.max(value, 1e-12));
const logit = (share) => Math.log(Math.max(share, 1e-6) / Math.max(1 - share, 1e-6));
const SHARES = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];
const POWERS_OF_TEN = Array.from({ length: 40 }, (_, k) => Number((10 ** (k / 2 - 9)).toPrecision(1)));

function scaleOf(values, share, from, to) {
  const known = values.filter((value) => value !== null);
  let [low, high] = [Math.min(...known), Math.max(...known)];
  if (!share) return axis(low * 0.9, high * 1.1, from, to, logarithm, POWERS_OF_TEN);
  const margin = Math.max(0.06 * (logit(high) - logit(low)), 0.1);
  const back = (x) => 1 / (1 + Math.exp(-x));
  return axis(back(logit(low) - margin), back(logit(high) + margin), from, to, logit, SHARES);
}

const shareText = (value) => `${Number((100 * value).toPrecision(9))} %`;
const lossText = (value) => Number(value.toPrecision(9)).toString();

function drawing(holder, height, words) {
  const width = Math.max(280, holder.clientWidth);
  const properties = { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words };
  return { width, height, node: shape("svg", properties) };
}

const tickText = (x, y, words, anchor = "middle") => shape("text.tick", { x, y, "text-anchor": anchor }, words);
const labelText = (x, y, words) => shape("text.label", { x, y }, words);

function gridY(node, scale, left, right, written) {
  for (const tick of scale.ticks) {
    const y = scale.position(tick);
    node.append(shape("path.grid", { d: `M${left} ${y}H${right}` }), tickText(left - 8, y + 4, written(tick), "end"));
  }
}

// The ticks and the name of the axis below a chart.
function labelX(node, scale, right, bottom, name, written = String) {
  for (const tick of scale.ticks) node.append(tickText(scale.position(tick), bottom + 20, written(tick)));
  node.append(tickText(right, bottom + 36, name, "end"));
}
