// Two charts: accuracy by number of parameters, and training against validation accuracy.

function drawSizes(facts) {
  const holder = byId("size-chart");
  const networks = facts.networks;
  const picture = drawing(holder, 330, "Validation accuracy by number of parameters, as in the table above");
  const [left, right, top, bottom] = [58, picture.width - 12, 14, picture.height - 40];
  const sizes = networks.map((network) => network.parameters);
  const [least, most] = [Math.min(...sizes) / 1.5, Math.max(...sizes) * 1.5];
  const across = axis(least, most, left, right, logarithm, POWERS_OF_TEN.filter((x) => x >= 1));
  across.ticks = apart(across.ticks, across.position, 72);
  const up = scaleOf(networks.map((network) => network.validation[1]), true, bottom, top);
  gridY(picture.node, up, left, right, shareText);
  labelX(picture.node, across, right, bottom, "parameters (logarithmic)", whole);
  const points = networks.map((network) => [across.position(network.parameters), up.position(network.validation[1])]);
  const taken = points.map(([x, y]) => [x - 8, y - 8, x + 8, y + 8]);
  fill(holder, picture.node);
  networks.forEach((network, k) => {
    const [x, y] = points[k];
    const share = percent(network.validation[1], 2);
    const title = `${isolated(network.name)}: ${whole(network.parameters)} parameters, ${share}`;
    const words = labelText(x, y, shortened(network.name));
    picture.node.append(shape("g", shape("title", title), mark(k, x, y, 1.2), words));
    placeLabel(words, x, y, taken, left, right);
  });
}

// Put a label next to its mark, at the first position where it covers nothing.
function placeLabel(words, x, y, taken, left, right) {
  const width = words.getComputedTextLength();
  const sides = [[x + 11, y + 4], [x - 11 - width, y + 4]];
  const corners = [x - width / 2, x + 6, x - width - 6].flatMap((a) => [[a, y - 12], [a, y + 22]]);
  const positions = [...sides, ...corners];
  const boxes = positions.map(([a, b]) => [a, b - 12, a + width, b + 3]);
  const inside = (box) => box[0] >= left && box[2] <= right;
  const free = (box) =>
    !taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
  const found = boxes.findIndex((box) => inside(box) && free(box));
  const chosen = found < 0 ? Math.max(0, boxes.findIndex(inside)) : found;
  words.setAttribute("x", positions[chosen][0]);
  words.setAttribute("y", positions[chosen][1]);
  taken.push(boxes[chosen]);
}

function drawGaps(facts) {
  const holder = byId("gap-chart");
  const networks = facts.networks.filter((network) => network.train[1] !== null);
  const height = 46 + 42 * networks.length;
  const picture = drawing(holder, height, "Training accuracy, validation accuracy, and the gap between them");
  const [left, right] = [10, picture.width - 14];
  const values = networks.flatMap((network) => [network.train[1], network.validation[1]]);
  const across = scaleOf(values, true, left + 6, right - 58);
  for (const tick of across.ticks) {
    const x = across.position(tick);
    picture.node.append(
      shape("path.grid", { d: `M${x} 4V${height - 34}` }),
      tickText(x, height - 16, shareText(tick)),
    );
  }
  networks.forEach((network, i) => {
    const y = 30 + 42 * i;
    const [train, validation] = [across.position(network.train[1]), across.position(network.validation[1])];
    const k = facts.networks.indexOf(network);
    const gap = 100 * (network.train[1] - network.validation[1]);
    const [learned, judged] = [network.train[1], network.validation[1]].map((share) => percent(share, 2));
    const title = `${isolated(network.name)}: ${learned} on the training rows, ${judged} on the validation rows`;
    const group = shape("g", { class: colorClass(k) },
      shape("title", title),
      labelText(left, y - 10, shortened(network.name)),
      shape("path.bar", { d: `M${validation} ${y}H${train}` }),
      shape("circle.full", { cx: validation, cy: y, r: 5.5 }),
      shape("circle.hollow", { cx: train, cy: y, r: 5.5 }),
      tickText(right, y + 4, `${gap.toFixed(1).replace("-", "−")} pts`, "end"),
    );
    picture.node.append(group);
  });
  fill(holder, picture.node);
}
