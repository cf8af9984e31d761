"""One HTML file to look at: networks compared, their mistakes, a pad on which each of them reads your digit.

facts.py finds what there is to show, table.py compares, weights.py packs the networks, backprop.py follows one step
of training, page.py writes the file. The page is page.html.j2 with style.css and the JavaScript of script/, all of it
inside the one file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..network import Network
from ..training.evaluation import Evaluation
from ..training.history import Record


@dataclass(frozen=True)
class Run:
    """A trained network, as `report` takes it; what does not fit together is `report`'s TypeError or ValueError.

    name     runs of the same name are one network from several seeds
    history  the records that `fit` returned
    train    what `evaluate` says on the training data; without it the last epoch's running means stand in the table
    figures  further columns of the table, by name, as {"blog accuracy": 0.9314}
    """

    name: str
    network: Network
    history: Sequence[Record]
    train: Evaluation | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


def report(
    runs: Sequence[Run],
    path: str | os.PathLike[str],
    *,
    title: str = "Networks compared",
    validation: tuple[Any, Any] | None = None,
    failed_below: float = 0.85,
) -> Path:
    """Writes one self-contained HTML file about trained classifiers, and returns its path.

    runs        one or more, all with the same number of inputs and of classes; one output is two classes. Networks
                whose loss knows no classes are refused; those with layers or losses of your own are not on the pad
    validation  (x, labels), as `fit` takes them, on which the networks are compared; if none is given, the 10,000 of
                `tn.data.mnist_split()`, as the networks take them. Pictures and the drawing pad need rows or pictures
                of 28 x 28 pixels, uint8 or 0 to 1; for other data the page leaves them out and says so
    failed_below  validation accuracy under which one of several seeds counts as failed, and in no mean

    The file appears whole or not at all. Raises TypeError or ValueError for what cannot be compared, before any work,
    and ImportError without jinja2. Needs the extra `examples`.
    """
    from . import facts, page  # here, so that `import tinynet` stays quick

    target = page.checked(path)
    checked, x, labels = facts.checked(runs, validation)
    page.write(facts.collect(checked, x, labels, title, failed_below), target)
    return target
