// Rows on which the networks disagree, each with its answers, the most frequent first.

const FIRST_BALLOTS = 12;

function showDisagreements(facts) {
  const { rows } = facts.disagreements;
  const show = (members) => byId("votes").append(...members.map((k) => ballot(facts, k)));
  show(rows.slice(0, FIRST_BALLOTS));
  if (rows.length <= FIRST_BALLOTS) return;
  const more = () => {
    show(rows.slice(FIRST_BALLOTS));
    button.remove();
    byId("votes").children[FIRST_BALLOTS].querySelector("button")?.focus();
  };
  const button = element("button.more", { onclick: more }, `Show ${rows.length - FIRST_BALLOTS} more`);
  byId("votes").after(button);
}

function ballot(facts, k) {
  const label = facts.digits.labels[k];
  const parties = new Map();
  for (const network of facts.networks) {
    const vote = network.said[k];
    parties.set(vote, [...(parties.get(vote) ?? []), network]);
  }
  const order = [...parties].sort((a, b) => b[1].length - a[1].length || a[0] - b[0]);
  const lines = order.map(([vote, networks]) => party(vote, vote === label, networks));
  return element("article.ballot", rowFigure(facts, k, `is ${label}`), element("ul", lines));
}

function party(vote, right, networks) {
  return element("li", { class: right ? "right" : "" },
    element("b", vote),
    element("span.tickmark", { "aria-label": right ? "right" : "wrong" }, right ? "✓" : "✗"),
    element("span.voters", networks.map(({ name }) => element("span", breakable(name)))),
  );
}
