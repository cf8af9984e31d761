// Prepares a picture of one digit like MNIST's digits, with the numbered steps of tinynet's data.digit_image.

const BLANK = 25; // pictures with less contrast are blank
const LONGEST = 280;

// picture: { data: red, green, blue, opacity, red, ...; width, height }.
// Returns 784 grays, or null if it is blank or does not show one digit.
function prepare(picture) {
  const ink = inkIn(picture);
  return ink && digitOf(ink);
}

// The same for black strokes on clean white paper, many times as fast: what the pad shows while the pen is down.
function preview(picture) {
  const { data, width, height } = reduced(picture);
  const values = grays({ data, width, height }).map((gray) => 255 - gray);
  return largest(values) < BLANK ? null : digitOf({ values, width, height });
}

function inkIn(picture) {
  const small = reduced(picture); // 1
  const gray = grays(small); // 2
  return inkOf(gray, small.width, small.height); // 3 and 4
}

const digitOf = (ink) => centered(fitted(cropped(ink))); // 4, 5 and 6

// The same ink on white paper, the strongest black as in a stroke. Preparing it again gives the same digit.
function onPaper({ values, width, height }) {
  const picture = new ImageData(width, height);
  const most = strongest(values);
  values.forEach((value, i) => {
    const gray = 255 - rounded((value * 255) / most);
    picture.data.set([gray, gray, gray, 255], 4 * i);
  });
  return picture;
}

const rounded = (value) => Math.floor(value + 0.5);

// Average squares of pixels so that no side is over 280.
function reduced({ data, width, height }) {
  const factor = Math.ceil(Math.max(width, height) / LONGEST);
  if (factor === 1) return { data, width, height };
  const columns = Math.ceil(width / factor);
  const rows = Math.ceil(height / factor);
  const small = new Uint8ClampedArray(4 * rows * columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const sum = [0, 0, 0, 0];
      const bottom = Math.min(height, (i + 1) * factor);
      const right = Math.min(width, (j + 1) * factor);
      for (let y = i * factor; y < bottom; y++)
        for (let x = j * factor; x < right; x++) for (let k = 0; k < 4; k++) sum[k] += data[4 * (y * width + x) + k];
      const area = (bottom - i * factor) * (right - j * factor);
      for (let k = 0; k < 4; k++) small[4 * (i * columns + j) + k] = rounded(sum[k] / area);
    }
  return { data: small, width: columns, height: rows };
}

// How bright each pixel is; what is transparent turns white, or black behind light ink.
function grays({ data, width, height }) {
  const gray = new Float64Array(width * height);
  let light = 0;
  for (let i = 0, at = 0; i < gray.length; i++, at += 4) {
    gray[i] = rounded((299 * data[at] + 587 * data[at + 1] + 114 * data[at + 2]) / 1000);
    light += data[at + 3] * (gray[i] - 127.5);
  }
  const behind = light > 0 ? 0 : 255;
  return gray.map((value, i) => {
    const opacity = data[4 * i + 3] / 255;
    return rounded(opacity * value + (1 - opacity) * behind);
  });
}

// The difference of each pixel of the digit from the paper, as tinynet/data/ink.py; null if there is not one digit.
function inkOf(gray, width, height) {
  const ink = contrastOf(insideFrame({ values: gray, width, height }));
  return ink && oneShape(withoutEdgeObjects(withoutLines(ink)));
}

// Cut off a frame, or a desk around the paper: all that surrounds a rectangle with ink in it.
function insideFrame({ values, width, height }) {
  const half = middle(values);
  const paperIsLight = mean(borderOf(values, width, height).map((value) => +(value > half))) > 0.5;
  const surround = values.map((value) => +(value > half === paperIsLight));
  const groups = groupsOf(surround, width, height);
  const atEdge = new Set(borderOf(groups, width, height));
  const inside = surround.map((value, i) => +!(value && atEdge.has(groups[i])));
  if (!inside.includes(1)) return { values, width, height };
  const box = bounds(inside, width);
  const paper = region(inside, width, box).values;
  const dark = region(surround, width, box).values.filter((_, i) => paper[i]);
  const isFrame = inside.includes(0) && mean(borderOf(surround, width, height)) > 0.95 && mean(paper) > 0.9;
  const size = Math.min((box.bottom - box.top + 1) / height, (box.right - box.left + 1) / width);
  if (!isFrame || size <= 0.5 || mean(dark) <= 0.01 || mean(dark) >= 0.4) return { values, width, height };
  const { top, bottom, left, right } = box;
  return region(values, width, { top: top + 2, bottom: bottom - 2, left: left + 2, right: right - 2 });
}

// The difference of each pixel from the paper around it, which is the closing of the picture; null if there is no ink.
function contrastOf({ values, width, height }) {
  const lightPaper = (mean(borderOf(values, width, height)) + mean(values)) / 2 > middle(values);
  const gray = lightPaper ? values : values.map((value) => 255 - value);
  const reach = Math.floor(Math.max(width, height) / 5);
  const opposite = largestAround(gray, width, height, reach).map((value) => -value);
  const paper = largestAround(opposite, width, height, reach).map((value) => -value);
  const most = largest(paper);
  let ink = gray.map((value, i) => (paper[i] - value) * (lightPaper ? most / Math.max(paper[i], 1) : 1));
  const level = median(borderOf(ink, width, height));
  ink = ink.map((value) => value - level);
  const darkest = largest(ink);
  if (darkest < BLANK) return null;
  const spread = 8 * median(borderOf(ink, width, height).map(Math.abs));
  const noise = Math.min(Math.max(spread, darkest / 10), darkest / 2);
  return { values: ink.map((value) => (value < noise ? 0 : value)), width, height };
}

// Erase thin lines from the left edge to the right, and from the top edge to the bottom.
function withoutLines({ values, width, height }) {
  const low = flipped(withoutRows(values, width, height), width, height);
  return { values: flipped(withoutRows(low, height, width), height, width), width, height };
}

function withoutRows(values, width, height) {
  const length = Math.max(1, Math.floor(width / 8));
  const inked = flipped(values.map(isInk), width, height);
  const long = flipped(opened(inked, height, width, length), height, width);
  const groups = groupsOf(long, width, height);
  const column = (x) => new Set(groups.filter((_, i) => i % width === x));
  const right = column(width - 1);
  const ends = new Set([0, ...groups.slice(0, width), ...groups.slice(-width)]);
  for (const group of column(0)) {
    if (!right.has(group) || ends.has(group)) continue;
    const line = groups.map((value) => +(value === group));
    const counts = new Float64Array(width);
    line.forEach((value, i) => (counts[i % width] += value));
    const thickness = Math.floor(median(counts));
    if (thickness >= height / 12) continue;
    const crossing = opened(values, width, height, thickness + 2);
    const near = largestAround(line, width, height, 1);
    values = values.map((value, i) => (near[i] ? crossing[i] : value));
  }
  return values;
}

// Erase what lies along an edge of the picture, and what reaches the edge beside the digit.
function withoutEdgeObjects({ values, width, height }) {
  const groups = groupsOf(values.map(isInk), width, height);
  const border = borderOf(groups, width, height);
  const touching = new Set(border.filter(isInk));
  const along = [...touching].filter((group) => {
    const contact = border.filter((value) => value === group).length;
    return contact > 0.9 * Math.max(...sizeOf(groups, width, new Set([group])));
  });
  const rest = values.map((value, i) => (along.includes(groups[i]) ? 0 : value));
  const within = rest.map((value, i) => (touching.has(groups[i]) ? 0 : value));
  return { values: 2 * sum(within) > sum(rest) ? within : rest, width, height };
}

// Erase dust; null if two tall shapes are separate.
function oneShape({ values, width, height }) {
  if (!values.some(isInk)) return null;
  const fine = groupsOf(values.map(isInk), width, height);
  const kept = large(fine, values, 0.01);
  const ink = values.map((value, i) => (kept.has(fine[i]) ? value : 0));
  const reach = Math.max(1, Math.round(Math.max(...sizeOf(ink.map(isInk), width, new Set([1]))) / 25));
  const joined = groupsOf(largestAround(ink.map(isInk), width, height, reach), width, height);
  const groups = joined.map((group, i) => (ink[i] ? group : 0));
  const shapes = large(groups, ink, 0.1);
  const heights = [...shapes].map((shape) => sizeOf(groups, width, new Set([shape]))[0]).sort((a, b) => b - a);
  if (heights[1] > 0.5 * heights[0]) return null;
  return { values: ink.map((value, i) => (shapes.has(groups[i]) ? value : 0)), width, height };
}

// The groups that have at least this share of the ink of the largest.
function large(groups, ink, share) {
  const amounts = new Map();
  groups.forEach((group, i) => amounts.set(group, (amounts.get(group) ?? 0) + ink[i]));
  const most = Math.max(...amounts.values());
  return new Set([...amounts.keys()].filter((group) => amounts.get(group) > share * most));
}

// Number the connected pixels of a mask, diagonally too: the same positive number for all of a group, and 0 outside.
function groupsOf(mask, width, height) {
  const groups = new Float64Array(mask.length);
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || groups[start]) continue;
    const waiting = [start];
    groups[start] = start + 1;
    while (waiting.length) {
      const i = waiting.pop();
      const x = i % width;
      const y = (i - x) / width;
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++)
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const next = row * width + column;
          if (!mask[next] || groups[next]) continue;
          groups[next] = start + 1;
          waiting.push(next);
        }
    }
  }
  return groups;
}

// The maximum over `length` rows of the minimum over `length` rows.
function opened(values, width, height, length) {
  const least = combined(values, width, length, Math.min);
  const padded = new Float64Array((height + length - 1) * width);
  padded.set(least, (length - 1) * width);
  return combined(padded, width, length, Math.max);
}

// The maximum over the square of 2 reach + 1 pixels around each pixel, as far as it is in the picture.
function largestAround(values, width, height, reach) {
  for (const [across, down] of [[width, height], [height, width]]) {
    const padded = new Float64Array((down + 2 * reach) * across);
    for (let row = 0; row < down + 2 * reach; row++) {
      const from = across * Math.min(Math.max(row - reach, 0), down - 1);
      padded.set(values.subarray(from, from + across), row * across);
    }
    values = flipped(combined(padded, across, 2 * reach + 1, Math.max), across, down);
  }
  return values;
}

// The minimum or maximum of every `length` rows that follow each other.
function combined(values, width, length, extreme) {
  const least = extreme === Math.min;
  for (let done = 1, step; done < length; done += step) {
    step = Math.min(done, length - done);
    const below = step * width;
    const found = new Float64Array(values.length - below);
    for (let i = 0; i < found.length; i++) {
      const [one, other] = [values[i], values[i + below]];
      found[i] = one < other === least ? one : other;
    }
    values = found;
  }
  return values;
}

const isInk = (value) => +(value > 0);
const sum = (values) => values.reduce((a, b) => a + b, 0);
const largest = (values) => values.reduce((a, b) => Math.max(a, b));
const middle = (values) => (values.reduce((a, b) => Math.min(a, b)) + largest(values)) / 2;

function sizeOf(groups, width, chosen) {
  const { top, bottom, left, right } = bounds(groups.map((group) => +chosen.has(group)), width);
  return [bottom - top + 1, right - left + 1];
}

function borderOf(gray, width, height) {
  return gray.filter((_, i) => {
    const column = i % width;
    return column === 0 || column === width - 1 || i < width || i >= width * (height - 1);
  });
}

function median(values) {
  const sorted = Float64Array.from(values).sort();
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

// Crop to the smallest rectangle that contains all ink.
const cropped = ({ values, width }) => region(values, width, bounds(values, width));

// The smallest rectangle that contains all numbers other than 0.
function bounds(values, width) {
  const box = { top: Infinity, bottom: -1, left: width, right: -1 };
  values.forEach((value, i) => {
    if (value === 0) return;
    const x = i % width;
    const y = (i - x) / width;
    box.top = Math.min(box.top, y);
    box.bottom = y;
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
  });
  return box;
}

function region(values, width, { top, bottom, left, right }) {
  const [rows, columns] = [bottom - top + 1, right - left + 1];
  const inside = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) inside[y * columns + x] = values[(top + y) * width + left + x];
  return { values: inside, width: columns, height: rows };
}

// Scale the longer side to 20 pixels and the strongest ink to 255. Average rows first, then columns.
function fitted({ values, width, height }) {
  const longest = Math.max(width, height);
  const rows = Math.max(1, rounded((height * 20) / longest));
  const columns = Math.max(1, rounded((width * 20) / longest));
  const low = averaged(values, width, height, rows);
  const small = flipped(averaged(flipped(low, width, rows), rows, width, columns), rows, columns);
  const most = strongest(small);
  return { values: small.map((value) => (value * 255) / most), width: columns, height: rows };
}

// Turn `height` rows of `width` numbers into `after` rows, each the sum of the rows, or parts of rows, that it covers.
function averaged(values, width, height, after) {
  const result = new Float64Array(after * width);
  for (let i = 0; i < after; i++) {
    const [from, to] = [(i * height) / after, ((i + 1) * height) / after];
    for (let y = Math.floor(from); y < Math.min(to, height); y++) {
      const overlap = Math.min(to, y + 1) - Math.max(from, y);
      for (let x = 0; x < width; x++) result[i * width + x] += overlap * values[y * width + x];
    }
  }
  return result;
}

// Transpose `height` rows of `width` numbers.
function flipped(values, width, height) {
  return values.map((_, i) => values[(i % height) * width + Math.floor(i / height)]);
}

// Place it on 28 x 28 zeros, with its center of mass on pixel (14, 14) or as near as possible without cutting it.
function centered({ values, width, height }) {
  let [total, down, across] = [0, 0, 0];
  values.forEach((value, i) => {
    total += value;
    down += value * Math.floor(i / width);
    across += value * (i % width);
  });
  const offset = (sum, size) => Math.min(Math.max(rounded(14 - rounded((sum / total) * 1e6) / 1e6), 0), 28 - size);
  const start = offset(down, height) * 28 + offset(across, width);
  const digit = new Uint8Array(784);
  values.forEach((value, i) => {
    digit[start + Math.floor(i / width) * 28 + (i % width)] = rounded(value);
  });
  return digit;
}
