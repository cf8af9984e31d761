// One network in detail: summary, confusion matrix, errors per class, filters, uncertain rows and mistakes.

const MOST_FILTERS = 96;

class Networks {
  constructor(facts) {
    this.facts = facts;
    this.select = byId("network-choice");
    fill(
      this.select,
      facts.networks.map((network, k) =>
        element("option", { value: k }, `${isolated(network.name)} · ${percent(network.validation[1], 2)}`),
      ),
    );
    const best = argmax(facts.networks.map((network) => network.validation[1]));
    this.select.value = String(best);
    this.select.addEventListener("change", () => this.show(Number(this.select.value)));
    this.show(best);
  }

  show(k) {
    const network = this.facts.networks[k];
    this.cellDigits = element(
      "div",
      { class: "cell-digits", role: "status" },
      element("p", { class: "note" }, "Click a cell to see its rows."),
    );
    fill(
      byId("network"),
      element(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Summary" },
        element("pre", { class: "summary" }, network.summary),
      ),
      element(
        "div",
        { class: "pair" },
        element("div", {}, element("h3", {}, "Confusion matrix"), this.confusion(network)),
        element("div", {}, element("h3", {}, "Errors per class"), this.classes(network)),
      ),
      this.cellDigits,
      network.layers ? this.filters(network) : null,
      element("h3", {}, "Least certain answers"),
      this.gallery(network, network.least_certain),
      element("h3", {}, "Most confident mistakes"),
      network.surest_mistakes.length
        ? this.gallery(network, network.surest_mistakes)
        : element("p", { class: "note" }, "It made no mistakes."),
    );
  }

  confusion(network) {
    const { confusion } = network;
    const most = Math.max(1, ...confusion.flatMap((row, r) => row.filter((_, c) => c !== r)));
    const head = element(
      "tr",
      {},
      element("td", {}),
      confusion.map((_, c) => element("th", { scope: "col" }, c)),
    );
    const rows = confusion.map((row, r) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, r),
        row.map((count, c) => this.cell(network, r, c, count, most)),
      ),
    );
    const table = element(
      "table",
      { class: "confusion", "aria-label": "Confusion matrix" },
      element("thead", {}, head),
      element("tbody", {}, rows),
    );
    const note = element("p", { class: "note" }, "Rows: true class. Columns: answer of the network.");
    return [
      note,
      element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Confusion matrix" }, table),
    ];
  }

  cell(network, r, c, count, most) {
    if (count === 0) return element("td", {}, element("span", { class: "none" }, "·"));
    const label = `${count} of class ${r} classified as ${c}`;
    const press = (event) => this.showCell(event.currentTarget, network, r, c, count);
    const button = element(
      "button",
      {
        type: "button",
        "aria-label": label,
        title: label,
        "aria-pressed": "false",
        onclick: press,
        class: r === c ? "right" : "wrong",
      },
      count,
    );
    if (r !== c) button.style.backgroundColor = `rgb(${ABOVE.join(" ")} / ${0.08 + 0.5 * (count / most)})`;
    return element("td", {}, button);
  }

  showCell(button, network, r, c, count) {
    for (const other of button.closest("table").querySelectorAll("button"))
      other.setAttribute("aria-pressed", String(other === button));
    const members = this.facts.digits.labels
      .map((label, k) => k)
      .filter((k) => this.facts.digits.labels[k] === r && network.said[k] === c)
      .sort((a, b) => network.sure[b] - network.sure[a])
      .slice(0, this.facts.most_of_a_cell);
    const few = members.length < count ? `, showing the ${members.length} most confident` : "";
    const how = r === c ? "correctly" : `as ${c}`;
    fill(
      this.cellDigits,
      element("h3", {}, `Class ${r} classified ${how}: ${plural(count, "row")}${few}`),
      element(
        "div",
        { class: "gallery" },
        members.map((k) => rowFigure(this.facts, k, percent(network.sure[k]))),
      ),
    );
  }

  classes(network) {
    const totals = network.confusion.map((row) => row.reduce((a, b) => a + b, 0));
    const wrong = network.confusion.map((row, r) => (totals[r] ? 1 - row[r] / totals[r] : 0));
    const items = network.confusion.map((row, r) => {
      const bar = element("i");
      bar.style.width = `${(100 * wrong[r]) / (Math.max(...wrong) || 1)}%`;
      const words = totals[r] ? `${whole(totals[r] - row[r])} of ${whole(totals[r])}` : "no rows";
      const share = totals[r] ? `${percent(1 - wrong[r])} correct` : "";
      return element(
        "li",
        {},
        element("b", {}, r),
        element("span", { class: "well" }, bar),
        element("span", { class: "value" }, words),
        element("span", { class: "value" }, share),
      );
    });
    return element("ul", { class: "classes" }, items);
  }

  filters(network) {
    const layer = network.layers[indexOfFilters(network.layers)];
    if (!layer?.W) return null;
    const units = Array.from({ length: layer.outputs }, (_, unit) => ({ unit, values: filterOf(layer, unit) }));
    const size = ({ values }) => values.reduce((sum, value) => sum + value * value, 0);
    const few = units.length > MOST_FILTERS;
    const shown = few
      ? units
          .map((unit) => ({ ...unit, size: size(unit) }))
          .sort((a, b) => b.size - a.size)
          .slice(0, MOST_FILTERS)
      : units;
    const pictures = shown.map(({ unit, values }) =>
      unitPicture(values, 0.7 * strongest(values), `Filter of unit ${unit}`),
    );
    return [
      element("h3", {}, "First-layer weights"),
      element(
        "p",
        { class: "note" },
        few ? `The ${MOST_FILTERS} of ${whole(units.length)} units with the largest weights. ` : "",
        layer.kind === "conv2d" ? `Kernels of ${layer.kernel_size} × ${layer.kernel_size} pixels, the same for the whole picture. ` : "",
        "Ink on an orange pixel raises the unit's output, ink on a blue pixel lowers it.",
      ),
      unitGroup("units", pictures),
    ];
  }

  gallery(network, members) {
    const caption = (k) => {
      const right = this.facts.digits.labels[k] === network.said[k];
      return [
        element("b", {}, `${network.said[k]} ${right ? "✓" : "✗"}`),
        ` ${percent(network.sure[k], 0)}`,
        right ? "" : element("span", { class: "truth" }, `is ${this.facts.digits.labels[k]}`),
      ];
    };
    return element(
      "div",
      { class: "gallery" },
      members.map((k) => rowFigure(this.facts, k, ...caption(k))),
    );
  }
}
