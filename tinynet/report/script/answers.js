// The answer of every network: its class, the probability, and a bar for each class.

const MOST_BARS = 16; // with more classes, only the most probable ones are shown
const RANKED = 5;

class Answers {
  constructor(networks, classes, chosen) {
    this.rows = networks.map((network, k) => this.row(network, classes, () => chosen(k)));
    fill(byId("answers"), this.rows.map((row) => row.item));
    this.announced = 0;
  }

  row(network, classes, chosen) {
    const ranked = classes > MOST_BARS;
    const bars = Array.from({ length: ranked ? RANKED : classes }, () => element("i"));
    const labels = bars.map((_, k) => element("em", ranked ? "·" : k));
    const columns = bars.map((bar, k) => element("span.column", element("span.well", bar), labels[k]));
    const digit = element("b.read", "·");
    const sure = element("span.sure");
    const chart = element("span.bars", { role: "img", "aria-label": "no answer yet" }, columns);
    const about = { title: "Look inside this network", onclick: chosen };
    const name = element("button.network-name", about, network.name);
    const item = element("li", { "data-network": network.name }, digit, element("span.who", name, sure), chart);
    return { item, bars, labels, columns, ranked, digit, sure, chart };
  }

  // probabilities: a row for each network, or null if nothing is drawn.
  show(probabilities) {
    this.rows.forEach((row, k) => this.showRow(row, probabilities && probabilities[k]));
    const votes = probabilities ? probabilities.map(argmax) : [];
    clearTimeout(this.announced);
    this.announced = setTimeout(() => fill(byId("verdict"), ...verdict(votes)), 60);
  }

  showRow(row, p) {
    const best = p ? argmax(p) : -1;
    row.digit.textContent = p ? best : "·";
    row.sure.textContent = p ? percent(p[best]) : "";
    const order = p ? [...p.keys()].sort((a, b) => p[b] - p[a]) : [];
    const classes = row.ranked ? row.bars.map((_, k) => order[k] ?? null) : [...row.bars.keys()];
    classes.forEach((of, k) => {
      row.bars[k].style.transform = `scaleY(${p ? p[of] : 0})`;
      row.labels[k].textContent = of ?? "·";
      row.columns[k].classList.toggle("best", of === best);
    });
    const first = order.slice(0, 3).map((k) => `${k}: ${percent(p[k])}`);
    row.chart.setAttribute("aria-label", p ? first.join(", ") : "no answer yet");
  }
}

// The votes of the networks as a sentence.
function verdict(votes) {
  if (votes.length === 0) return ["No answer yet."];
  const counts = new Map();
  for (const vote of votes) counts.set(vote, (counts.get(vote) ?? 0) + 1);
  const [[winner, most], ...others] = [...counts].sort((a, b) => b[1] - a[1]);
  const bold = element("b", winner);
  if (others.length === 0)
    return votes.length === 1 ? ["It reads ", bold, "."] : [`All ${votes.length} read `, bold, "."];
  const minority = others.map(([digit, count]) => `${count} read ${digit}`).join(", ");
  return [`${most} of ${votes.length} read `, bold, `; ${minority}.`];
}
