"""Writes one HTML file that compares networks, shows their mistakes, and has a pad to draw digits for them.

facts.py collects the content, table.py makes the comparison table, weights.py packs the networks, backprop.py records
one training step, and page.py writes the file. The page is page.html.j2 with style.css and the scripts in script/, all
in one file.
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
    """A trained network for `report`, which raises TypeError or ValueError if runs do not match.

    name     runs with the same name are one network trained from several seeds
    history  the records that `fit` returned
    train    the result of `evaluate` on the training data; the default is the running means of the last epoch
    figures  further columns of the table by name, such as {"blog accuracy": 0.9314}
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
    """Write one self-contained HTML file about trained classifiers, and return its path.

    runs        one or more, all with the same number of inputs and of classes; one output means two classes. Networks
                with layers or losses of your own are compared, but not on the drawing pad
    validation  (x, labels), as for `fit`, to compare the networks on. The default is the 10,000 validation rows of
                `tn.data.mnist_split()`. Pictures and the drawing pad need rows or pictures of 28 x 28 pixels, uint8 or
                0 to 1. For other data the page leaves them out and says so
    failed_below  runs with a lower validation accuracy count as failed and are left out of the means of several seeds

    The file is written atomically. Raises TypeError or ValueError, before any work, if the runs cannot be compared, and
    ImportError without jinja2 (extra `examples`).
    """
    from . import facts, page  # here, to keep `import tinynet` fast

    target = page.checked(path)
    checked, x, labels = facts.checked(runs, validation)
    page.write(facts.collect(checked, x, labels, title, failed_below), target)
    return target
