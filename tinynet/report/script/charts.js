// Two charts: accuracy by number of parameters, and training against validation accuracy.

// ------------------------------------------------------------------------------- accuracy by parameters

function drawSizes(facts) {
  const holder = byId("size-chart");
  const networks = facts.networks;
  const picture = drawing(holder, 330, "Validation accuracy by number of parameters, as in the table above");
  const [left, right, top, bottom] = [58, picture.width - 12, 14, picture.height - 40];
  const sizes = networks.map((network) => network.parameters);
  const across = axis(
    Math.min(...sizes) / 1.5,
    Math.max(...sizes) * 1.5,
    left,
    right,
    logarithm,
    POWERS_OF_TEN.filter((x) => x >= 1),
  );
  const up = scaleOf(networks.map((network) => network.validation[1]), true, bottom, top);
  gridY(picture.node, up, left, right, shareText);
  for (const tick of apart(across.ticks, across.position, 72))
    picture.node.append(
      text(across.position(tick), bottom + 20, whole(tick), { class: "tick", "text-anchor": "middle" }),
    );
  picture.node.append(text(right, bottom + 36, "parameters (logarithmic)", { class: "tick", "text-anchor": "end" }));
  const points = networks.map((network) => [across.position(network.parameters), up.position(network.validation[1])]);
  const taken = points.map(([x, y]) => [x - 8, y - 8, x + 8, y + 8]);
  fill(holder, picture.node);
  networks.forEach((network, k) => {
    const [x, y] = points[k];
    const share = percent(network.validation[1], 2);
    const label = `${isolated(network.name)}: ${whole(network.parameters)} parameters, ${share}`;
    const words = text(x, y, shortened(network.name), { class: "label" });
    picture.node.append(shape("g", shape("title", label), mark(k, x, y, 1.2), words));
    placeLabel(words, x, y, taken, left, right);
  });
}

// Put a label next to its mark, at the first position where it covers nothing.
function placeLabel(words, x, y, taken, left, right) {
  const width = words.getComputedTextLength();
  const positions = [
    [x + 11, y + 4],
    [x - 11 - width, y + 4],
    [x - width / 2, y - 12],
    [x - width / 2, y + 22],
    [x + 6, y - 12],
    [x + 6, y + 22],
    [x - width - 6, y - 12],
    [x - width - 6, y + 22],
  ];
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

// -------------------------------------------------------------------------------------- the overfitting gap

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
      shape("path", { d: `M${x} 4V${height - 34}`, class: "grid" }),
      text(x, height - 16, shareText(tick), { class: "tick", "text-anchor": "middle" }),
    );
  }
  networks.forEach((network, i) => {
    const y = 30 + 42 * i;
    const [train, validation] = [across.position(network.train[1]), across.position(network.validation[1])];
    const k = facts.networks.indexOf(network);
    const gap = 100 * (network.train[1] - network.validation[1]);
    const [learned, judged] = [network.train[1], network.validation[1]].map((share) => percent(share, 2));
    const label = `${isolated(network.name)}: ${learned} on the training rows, ${judged} on the validation rows`;
    picture.node.append(
      shape("g", { class: colorClass(k) },
        shape("title", label),
        text(left, y - 10, shortened(network.name), { class: "label" }),
        shape("path", { d: `M${validation} ${y}H${train}`, class: "bar" }),
        shape("circle", { cx: validation, cy: y, r: 5.5, class: "full" }),
        shape("circle", { cx: train, cy: y, r: 5.5, class: "hollow" }),
        text(right, y + 4, `${gap.toFixed(1).replace("-", "−")} pts`, { class: "tick", "text-anchor": "end" }),
      ),
    );
  });
  fill(holder, picture.node);
}
