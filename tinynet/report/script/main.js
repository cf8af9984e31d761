// Starts the page: unpacks the data and builds every section.

async function start() {
  const facts = JSON.parse(byId("facts").textContent);
  setTheme("auto");
  byId("theme").addEventListener("click", nextTheme);
  makeSortable(byId("comparison"));
  for (const id of ["draw", "networks", "backprop"]) if (byId(id)) addReadout(byId(id));
  const drawn = await part("draw", async () => {
    if (facts.pictures) await unpackAll(facts);
    if (facts.pad) startPad(facts);
  });
  facts.pad &&= drawn;
  await part("curves", () => drawCharts(facts));
  await part("networks", () => new Networks(facts));
  if (byId("votes")) await part("disagreements", () => showDisagreements(facts));
  if (facts.backprop) await part("backprop", () => new Backprop(facts));
  document.documentElement.dataset.ready = "yes";
}

// Build one section. If it fails, show a message there and continue. Returns whether it succeeded.
async function part(id, show) {
  try {
    await show();
    return true;
  } catch (error) {
    const words = `Part of this section could not be shown (${error.message}).`;
    (byId(id) ?? byId("compare")).append(element("p.problem", { role: "alert" }, words));
    console.error(error);
    return false;
  }
}

async function unpackAll(facts) {
  const all = await unpack(facts.digits.pixels);
  facts.pixels = facts.digits.rows.map((_, k) => all.subarray(784 * k, 784 * (k + 1)));
  for (const network of facts.networks.filter(({ weights }) => weights)) {
    network.layers = withViews(network.layers, numbersOf(await unpack(network.weights), network.precision));
    network.weights = null;
  }
}

function drawCharts(facts) {
  const curves = new Curves(facts);
  const draw = () => {
    curves.draw();
    drawSizes(facts);
    drawGaps(facts);
  };
  draw();
  let width = byId("curve-chart").clientWidth;
  new ResizeObserver(() => {
    const now = byId("curve-chart").clientWidth;
    if (now === width) return;
    width = now;
    draw();
  }).observe(byId("curve-chart"));
}

function startPad(facts) {
  const networks = facts.networks.filter(({ layers }) => layers);
  const inside = new Inside(networks);
  const answers = new Answers(networks, facts.classes, (k) => {
    inside.choose(k);
    inside.open(true);
  });
  const pad = new Pad((pixels, begun) => {
    const row = pixels && rowOf(pixels);
    const answer = row && networks.map(({ layers }) => forward(layers, row));
    drawDigit(byId("seen"), pixels ?? new Uint8Array(784));
    answers.show(answer && answer.map((outputs) => Array.from(outputs.at(-1))));
    inside.show(answer);
    showTiming(pixels, networks.length, performance.now() - begun);
  });
  document.addEventListener("take", (event) => {
    pad.takeDigit(event.detail);
    byId("draw").scrollIntoView({ behavior: moves() ? "smooth" : "auto" });
  });
  const samples = facts.disagreements.rows.concat(facts.networks[0].least_certain).slice(0, 8);
  fill(byId("samples"), samples.map((k) => rowFigure(facts, k, `is ${facts.digits.labels[k]}`)));
}

function showTiming(pixels, count, milliseconds) {
  const input = pixels ? "the drawing in 28 by 28 grays" : "nothing yet";
  byId("seen").setAttribute("aria-label", `Input of the networks: ${input}`);
  byId("timing").textContent = pixels ? `${plural(count, "network")} answered in ${milliseconds.toFixed(1)} ms` : "";
  byId("timing").dataset.milliseconds = pixels ? milliseconds.toFixed(2) : "";
}

// ------------------------------------------------------------------------------------------------ colors

const THEMES = { auto: "◐", light: "○", dark: "●" };

function nextTheme() {
  const names = Object.keys(THEMES);
  const now = names.indexOf(document.documentElement.dataset.theme);
  setTheme(names[(now + 1) % names.length]);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").firstElementChild.textContent = THEMES[name];
  byId("theme-name").textContent = name;
}

start().catch((error) => {
  const problem = byId("problem");
  problem.hidden = false;
  problem.textContent = `This page could not start (${error.message}).`;
  console.error(error);
});
