// One network in detail: summary, confusion matrix, error rates per class, filters, uncertain rows and mistakes.

const MOST_FILTERS = 96;

class Networks {
  constructor(facts) {
    this.facts = facts;
    this.select = byId("network-choice");
    const option = ({ name, validation }, k) =>
      element("option", { value: k }, `${isolated(name)} · ${percent(validation[1], 2)}`);
    fill(this.select, facts.networks.map(option));
    const best = argmax(facts.networks.map((network) => network.validation[1]));
    this.select.value = String(best);
    this.select.addEventListener("change", () => this.show(Number(this.select.value)));
    this.show(best);
  }

  show(k) {
    const network = this.facts.networks[k];
    const hint = element("p.note", "Click a cell to see its rows.");
    this.cellDigits = element("div.cell-digits", { role: "status" }, hint);
    fill(
      byId("network"),
      scrolling("Summary", element("pre.summary", network.summary)),
      this.whereToLook(network),
      element("div.pair",
        element("div", element("h3", "Confusion matrix"), this.confusion(network)),
        element("div", element("h3", "Error rate per class"), this.classes(network)),
      ),
      this.cellDigits,
      network.layers ? this.filters(network) : null,
      element("h3", "Least certain answers"),
      this.gallery(network, network.least_certain),
      element("h3", "Most confident mistakes"),
      network.surest_mistakes.length
        ? this.gallery(network, network.surest_mistakes)
        : element("p.note", "It made no mistakes."),
    );
  }

  whereToLook(network) {
    const link = element("a", { href: "#draw" }, "Draw a digit");
    const pad = this.facts.pad && network.layers ? [link, " and look inside the network to see what each layer computes. "] : "";
    return element("p.note", pad, "In Python, examples/tour.ipynb of tinynet's repository shows how to look inside a network.");
  }

  confusion(network) {
    const { confusion } = network;
    const most = Math.max(1, ...confusion.flatMap((row, r) => row.filter((_, c) => c !== r)));
    const head = element("tr", element("td"), confusion.map((_, c) => element("th", { scope: "col" }, c)));
    const rows = confusion.map((row, r) =>
      element("tr", element("th", { scope: "row" }, r), row.map((count, c) => this.cell(network, r, c, count, most))),
    );
    const parts = [element("thead", head), element("tbody", rows)];
    const table = element("table.confusion", { "aria-label": "Confusion matrix" }, parts);
    const note = element("p.note", "Rows: true class. Columns: answer of the network.");
    return [note, scrolling("Confusion matrix", table)];
  }

  cell(network, r, c, count, most) {
    if (count === 0) return element("td", element("span.none", "·"));
    const label = `${count} of class ${r} classified as ${c}`;
    const onclick = (event) => this.showCell(event.currentTarget, network, r, c, count);
    const look = { "background-color": `rgb(${ABOVE.join(" ")} / ${0.08 + 0.5 * (count / most)})` };
    const kind = r === c ? { class: "right" } : { class: "wrong", style: look };
    const properties = { "aria-label": label, title: label, "aria-pressed": "false", onclick, ...kind };
    return element("td", element("button", properties, count));
  }

  showCell(button, network, r, c, count) {
    for (const other of button.closest("table").querySelectorAll("button"))
      other.setAttribute("aria-pressed", String(other === button));
    const { labels } = this.facts.digits;
    const members = [...labels.keys()]
      .filter((k) => labels[k] === r && network.said[k] === c)
      .sort((a, b) => network.sure[b] - network.sure[a])
      .slice(0, this.facts.most_of_a_cell);
    const few = members.length < count ? `, showing the ${members.length} most confident` : "";
    const how = r === c ? "correctly" : `as ${c}`;
    fill(
      this.cellDigits,
      element("h3", `Class ${r} classified ${how}: ${plural(count, "row")}${few}`),
      element("div.gallery", members.map((k) => rowFigure(this.facts, k, percent(network.sure[k])))),
    );
  }

  classes(network) {
    const totals = network.confusion.map((row) => row.reduce((a, b) => a + b, 0));
    const wrong = network.confusion.map((row, r) => (totals[r] ? 1 - row[r] / totals[r] : 0));
    const items = network.confusion.map((row, r) => {
      const bar = element("i", { style: { width: `${(100 * wrong[r]) / (Math.max(...wrong) || 1)}%` } });
      const share = totals[r] ? percent(wrong[r]) : "";
      const count = totals[r] ? `${whole(totals[r] - row[r])} of ${whole(totals[r])}` : "no rows";
      const values = [share, count].map((value) => element("span.value", value));
      return element("li", element("b", r), element("span.well", bar), values);
    });
    return element("ul.classes", items);
  }

  filters(network) {
    const layer = network.layers[indexOfFilters(network.layers)];
    if (!layer?.W) return null;
    const units = Array.from({ length: layer.outputs }, (_, unit) => {
      const values = filterOf(layer, unit);
      return { unit, values, size: values.reduce((sum, value) => sum + value * value, 0) };
    });
    const few = units.length > MOST_FILTERS;
    if (few) units.sort((a, b) => b.size - a.size);
    const pictures = units
      .slice(0, MOST_FILTERS)
      .map(({ unit, values }) => unitPicture(values, 0.7 * strongest(values), `Filter of unit ${unit}`));
    const sides = `${layer.kernel_size} × ${layer.kernel_size}`;
    return [
      element("h3", "First-layer weights"),
      element("p.note",
        few ? `The ${MOST_FILTERS} of ${whole(units.length)} units with the largest weights. ` : "",
        layer.kind === "conv2d" ? `Kernels of ${sides} pixels, the same for the whole picture. ` : "",
        "Ink on an orange pixel raises the unit's output, ink on a blue pixel lowers it.",
      ),
      unitGroup("units", pictures),
    ];
  }

  gallery(network, members) {
    const figure = (k) => {
      const [label, said] = [this.facts.digits.labels[k], network.said[k]];
      const [sign, truth] = said === label ? ["✓", null] : ["✗", element("span.truth", `is ${label}`)];
      return rowFigure(this.facts, k, element("b", `${said} ${sign}`), ` ${percent(network.sure[k], 0)}`, truth);
    };
    return element("div.gallery", members.map(figure));
  }
}

// A region with its own scroll bar, which the Tab key reaches.
function scrolling(label, content) {
  return element("div.scroll", { tabindex: 0, role: "region", "aria-label": label }, content);
}
