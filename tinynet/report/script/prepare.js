// Prepares a picture of one digit like MNIST's digits, with the numbered steps of tinynet's data.digit_image.

const BLANK = 25; // pictures with less contrast are blank
const LONGEST = 280;

// picture: { data: red, green, blue, opacity, red, ...; width, height }. Returns 784 grays, or null if it is blank.
function prepare(picture) {
  const ink = inkIn(picture);
  return ink && digitOf(ink);
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

// The difference of each pixel from the paper, without noise; null if there is no ink.
function inkOf(gray, width, height) {
  const border = borderOf(gray, width, height);
  const paper = median(border);
  const lighter = gray.reduce((a, b) => Math.max(a, b)) - paper;
  const darker = paper - gray.reduce((a, b) => Math.min(a, b));
  const most = Math.max(lighter, darker);
  if (most < BLANK) return null;
  const sign = lighter > darker ? 1 : -1;
  const spread = 8 * median(border.map((value) => Math.abs(value - paper)));
  const noise = Math.min(Math.max(spread, most / 10), most / 2);
  const values = gray.map((value) => (sign * (value - paper) < noise ? 0 : sign * (value - paper)));
  return { values, width, height };
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
function cropped({ values, width, height }) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  values.forEach((value, i) => {
    if (value === 0) return;
    const x = i % width;
    const y = (i - x) / width;
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
    left = Math.min(left, x);
    right = Math.max(right, x);
  });
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
