// Inside one network: the weights of each first-layer unit, and the output of every layer for the drawing.

const MOST_UNITS = 48;
const CURVES = ["relu", "leaky_relu", "tanh", "sigmoid", "gelu"];

class Inside {
  constructor(networks) {
    this.networks = networks;
    this.holder = byId("inside");
    this.toggle = byId("inside-toggle");
    this.select = byId("inside-network");
    fill(this.select, networks.map((network, k) => element("option", { value: k }, network.name)));
    this.toggle.addEventListener("click", () => this.open(this.holder.hidden));
    this.select.addEventListener("change", () => this.choose(Number(this.select.value)));
    this.answer = null;
    this.choose(0);
  }

  open(opened) {
    this.holder.hidden = !opened;
    byId("inside-choice").hidden = !opened;
    this.toggle.setAttribute("aria-expanded", String(opened));
    this.toggle.textContent = opened ? "Close the network" : "Look inside a network";
    this.refresh();
  }

  choose(k) {
    this.k = k;
    this.select.value = String(k);
    const { layers } = this.networks[k];
    this.first = indexOfFilters(layers);
    if (layers[this.first]?.kind === "conv2d") this.first = -1; // shown below, and under "One network in detail"
    this.slots = this.first < 0 ? [] : this.makeSlots(layers[this.first]);
    const silent = ({ kind }) => kind === "dropout" || kind === "flatten";
    this.strips = layers.map((layer, i) => (silent(layer) ? null : this.makeStrip(this.nameOf(layers, i))));
    const shown = this.strips.filter((strip, i) => strip && !this.isBent(i));
    const most = ` Only the ${MOST_UNITS} units with the largest outputs are shown, in this order.`;
    const filters = [
      element("h3", "First-layer units"),
      element("p.note",
        "Ink on an orange pixel raises the unit's output, ink on a blue pixel lowers it. ",
        "The number is the unit's output for the drawing. A frame marks an output above 0.",
        this.slots.length < layers[this.first]?.outputs ? most : "",
      ),
      unitGroup("units", this.slots.map((slot) => slot.figure)),
    ];
    const strips = element("div.strips", shown.map((strip) => strip.node));
    fill(this.holder, this.slots.length ? filters : null, element("h3", "Layer by layer"), strips);
    this.refresh();
  }

  // A Dense followed by an activation is shown together with it.
  isBent(i) {
    const { layers } = this.networks[this.k];
    return layers[i]?.kind === "dense" && CURVES.includes(layers[i + 1]?.kind);
  }

  makeSlots(layer) {
    return Array.from({ length: Math.min(MOST_UNITS, layer.outputs) }, () => {
      const [canvas, value] = [numbersCanvas(new Float32Array(784), 28), element("figcaption")];
      return { canvas, value, unit: null, figure: element("figure.unit", canvas, value) };
    });
  }

  nameOf(layers, i) {
    return this.isBent(i - 1) ? `${layers[i - 1].name}, ${layers[i].name}` : layers[i].name;
  }

  makeStrip(name) {
    const cells = element("div.cells");
    return { cells, node: element("div.strip", element("span.strip-name", name), cells) };
  }

  // answer: the outputs from `forward` for each network, or null.
  show(answer) {
    this.answer = answer;
    this.refresh();
  }

  refresh() {
    if (this.holder.hidden) return;
    const { layers } = this.networks[this.k];
    const answer = this.answer && this.answer[this.k];
    const after = this.first + (this.isBent(this.first) ? 2 : 1);
    if (this.slots.length) this.showUnits(layers[this.first], answer && answer[after]);
    this.strips.forEach((strip, i) => {
      if (strip) showStrip(strip.cells, answer && answer[i + 1], i >= layers.length - 2, layers[i].maps);
    });
  }

  showUnits(layer, values) {
    const order = Array.from({ length: layer.outputs }, (_, j) => j);
    if (values && layer.outputs > MOST_UNITS) order.sort((a, b) => values[b] - values[a]);
    this.slots.forEach((slot, i) => {
      const unit = order[i];
      if (slot.unit !== unit) drawFilter(slot.canvas, layer, unit).setAttribute("aria-label", `Filter of unit ${unit}`);
      slot.unit = unit;
      const value = values ? values[unit] : 0;
      slot.value.textContent = values ? value.toFixed(1).replace("-", "−") : " ";
      slot.figure.classList.toggle("awake", value > 0);
      slot.figure.title = `unit ${unit}${values ? ` gives ${value.toFixed(3)}` : ""}`;
    });
  }
}

function drawFilter(canvas, layer, unit) {
  const values = filterOf(layer, unit);
  return drawNumbers(canvas, values, 28, 0.7 * strongest(values));
}

// A picture for every map, a cell for every unit. Few cells show their values; those of the last layers also classes.
function showStrip(cells, values, classes, maps) {
  if (!values) return fill(cells, element("span.note", "nothing drawn"));
  const scale = strongest(values);
  if (maps) return fill(cells, mapsOf(values, maps, scale));
  if (values.length > MOST_WRITTEN) return fill(cells, cloud(values, scale));
  const named = classes && values.length > 1;
  const cell = (value, k) => numberCell(value, scale, `${k}: ${value}`, named ? element("em", k) : null);
  fill(cells, Array.from(values, cell));
}

function cloud(values, scale) {
  const positive = values.reduce((count, value) => count + (value > 0), 0);
  const words = `${values.length} units, ${positive} above 0, largest magnitude ${scale.toFixed(2)}`;
  const canvas = numbersCanvas(values, Math.min(120, values.length), scale, `${values.length} units`);
  return element("figure.cloud", canvas, element("figcaption", words));
}
