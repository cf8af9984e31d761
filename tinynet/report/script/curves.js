// Learning curves of all networks in one chart. Hovering shows an epoch; a click in the legend shows one network.

const HEIGHT = 380;
const BOTTOM = HEIGHT - 40; // the axis, with its labels below
const MOST_READ = 8;
const UNJUDGED =
  "There are no finite validation figures for these networks. The curves show running means of the training figures " +
  "over each epoch.";

class Curves {
  constructor(facts) {
    this.networks = facts.networks;
    this.holder = byId("curve-chart");
    this.field = "val_accuracy";
    this.alone = null;
    this.epoch = null;
    this.tip = element("div.tip", { hidden: true });
    this.buttons = this.networks.map((network, k) => this.legendButton(network, k));
    fill(byId("legend"), this.buttons);
    this.fields = [...document.querySelectorAll("[data-curve]")];
    for (const button of this.fields) button.addEventListener("click", () => this.choose(button.dataset.curve));
    this.holder.tabIndex = 0;
    for (const at of ["pointerdown", "pointermove"]) this.holder.addEventListener(at, (event) => this.hover(event));
    // Lifting a finger also fires pointerleave, but the values should stay visible then.
    this.holder.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && this.point(null));
    this.holder.addEventListener("blur", () => this.point(null));
    this.holder.addEventListener("keydown", (event) => this.key(event));
  }

  legendButton(network, k) {
    const properties = { "aria-pressed": "false", onclick: () => this.isolate(k) };
    return element("button.key", properties, swatch(k), element("bdi", breakable(network.name)));
  }

  choose(field) {
    this.field = field;
    for (const button of this.fields) button.setAttribute("aria-pressed", String(button.dataset.curve === field));
    this.draw();
  }

  isolate(k) {
    this.alone = this.alone === k ? null : k;
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(this.alone === other)));
    this.draw();
  }

  shown() {
    return this.networks
      .map((network, k) => ({ network, k }))
      .filter(({ k }) => this.alone === null || this.alone === k);
  }

  draw() {
    const share = this.field === "val_accuracy";
    const training = this.field.replace("val_", "");
    const shown = this.shown();
    const has = (field) => shown.some(({ network }) => network.history[field].some((value) => value !== null));
    const judged = has(this.field);
    this.drawn = judged ? this.field : training;
    const both = judged && this.alone !== null;
    this.fieldsRead = both ? [this.field, training] : [this.drawn];
    const name = share ? "Accuracy" : "Loss";
    const where = judged ? "on the validation rows" : "on the training rows";
    const words = `${name} ${where} by epoch. The left and right arrow keys show the values.`;
    const picture = drawing(this.holder, HEIGHT, words);
    const [left, right, top, bottom] = [58, picture.width - 18, 14, BOTTOM];
    const values = shown.flatMap(({ network }) => this.fieldsRead.flatMap((field) => network.history[field]));
    if (!has(this.drawn)) {
      this.across = null;
      return fill(this.holder, element("p.note", "No finite values of this quantity were recorded."));
    }
    const note = judged ? null : element("p.note", UNJUDGED);
    fill(this.holder, picture.node, note, this.tip);
    const epochs = shown.flatMap(({ network }) => network.history.epoch);
    const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
    const steps = [1, 2, 5, 10, 20, 50, 100, 1000];
    const step = steps.find((size) => (last - first) / size <= picture.width / 70) ?? last;
    const ticks = Array.from({ length: Math.floor(last / step) }, (_, k) => (k + 1) * step);
    this.across = axis(first, last, left, right, (x) => x, ticks);
    this.across.ticks = this.across.ticks.filter(Number.isInteger);
    this.up = scaleOf(values, share, bottom, top);
    gridY(picture.node, this.up, left, right, share ? shareText : lossText);
    labelX(picture.node, this.across, right, bottom, "epoch");
    for (const { network, k } of shown) {
      if (both) picture.node.append(this.line(network, k, training, "training"));
      picture.node.append(this.line(network, k, this.drawn, "line"), ...this.marks(network, k));
    }
    if (both) {
      const legend = "thin: training (running mean over each epoch), thick: validation";
      picture.node.append(tickText(left + 8, bottom - 8, legend, null));
    }
    this.hair = shape("path.hair");
    picture.node.append(this.hair);
    this.range = [first, last];
  }

  points(network, field) {
    return network.history.epoch
      .map((epoch, i) => [epoch, network.history[field][i]])
      .filter(([, value]) => value !== null)
      .map(([epoch, value]) => [this.across.position(epoch), this.up.position(value)]);
  }

  line(network, k, field, kind) {
    const points = this.points(network, field).map((point) => point.map((v) => v.toFixed(1)).join(" "));
    return shape("path", {
      d: points.length ? `M${points.join("L")}` : "",
      class: `${colorClass(k)} ${kind}`,
      "stroke-dasharray": kind === "line" ? dashOf(k) : null,
    });
  }

  // Marks at a few epochs, shifted from network to network, and at the last one.
  marks(network, k) {
    const points = this.points(network, this.drawn);
    const gap = Math.max(1, Math.round(points.length / 4));
    return points.filter((_, i) => i === points.length - 1 || (i + k) % gap === 0).map(([x, y]) => mark(k, x, y, 0.85));
  }

  hover(event) {
    if (!this.across) return;
    const box = this.holder.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const [first, last] = this.range;
    const share = (x - this.across.position(first)) / (this.across.position(last) - this.across.position(first) || 1);
    this.point(Math.min(last, Math.max(first, Math.round(first + share * (last - first)))), y);
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (!(event.key in steps) || !this.across) return;
    event.preventDefault();
    const [first, last] = this.range;
    this.point(Math.min(last, Math.max(first, (this.epoch ?? first - 1) + steps[event.key])));
  }

  // With the keyboard, the best lines are shown.
  point(epoch, y = this.field === "val_accuracy" ? 0 : BOTTOM) {
    this.epoch = epoch;
    this.tip.hidden = epoch === null;
    if (!this.hair) return;
    if (epoch === null) return this.hair.removeAttribute("d");
    const x = this.across.position(epoch);
    this.hair.setAttribute("d", `M${x} 10V${BOTTOM}`);
    const lines = this.nearest(this.read(epoch), y);
    const few = lines.length < this.read(epoch).length ? `, the ${lines.length} nearest lines` : "";
    fill(this.tip, element("b", `epoch ${epoch}${few}`), lines.map(this.reading, this));
    const width = this.tip.offsetWidth;
    const beside = x + 14 + width > this.holder.clientWidth ? x - 14 - width : x + 14;
    this.tip.style.left = `${Math.max(0, beside)}px`;
  }

  // The values of the shown lines at an epoch, largest first.
  read(epoch) {
    return this.shown()
      .flatMap(({ network, k }) => this.fieldsRead.map((field) => ({ network, k, field })))
      .map((line) => ({ ...line, value: line.network.history[line.field][line.network.history.epoch.indexOf(epoch)] }))
      .filter(({ value }) => value !== null && value !== undefined)
      .sort((a, b) => b.value - a.value);
  }

  // The lines nearest to a height, largest first.
  nearest(lines, y) {
    const off = ({ value }) => Math.abs(this.up.position(value) - y);
    const kept = new Set([...lines].sort((a, b) => off(a) - off(b)).slice(0, MOST_READ));
    return lines.filter((line) => kept.has(line));
  }

  reading({ network, k, field, value }) {
    const name = this.alone === null ? network.name : field.startsWith("val_") ? "validation" : "training";
    const written = this.field === "val_accuracy" ? percent(value, 2) : value.toFixed(4);
    const parts = [element("span", name), element("span.value", written)];
    return element("div", swatch(k), parts);
  }
}
