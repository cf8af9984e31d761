import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from checking import Mistake

BOOK = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[3] / "examples" / "from_scratch.py")))
HINTS = (
    "Forward, loss, backward, step: each needs the result of the one before.",
    "The loss returns L, a number to report, and dz, the gradient from which backward starts.",
    "The last batch may be smaller. total is a sum over rows, and L a mean over the batch: total += L * len(rows).",
)


class Recorder:
    """A network and optimizer that record their calls."""

    def __init__(self):
        self.calls, self.seen = [], []

    def forward(self, x):
        self.calls.append("forward")
        self.seen.append(x)
        return x[:, :3]

    def backward(self, dy):
        self.calls.append("backward")
        if np.shape(dy) != np.shape(self.seen[-1][:, :3]):
            raise Mistake(f"network.backward got the shape {np.shape(dy)}; it starts from dz, and not from L")

    def step(self):
        self.calls.append("step")


def check(answer):
    draw = np.random.default_rng(23)
    x, t = draw.normal(size=(10, 4)), np.eye(3)[draw.integers(3, size=10)]
    asked = Recorder()
    losses = [
        float(L) for L in answer.train(asked, asked, BOOK.softmax_cross_entropy, x, t, 1, np.random.default_rng(1), 4)
    ]
    if asked.calls != 3 * ["forward", "backward", "step"]:
        raise Mistake(f"a step is forward, backward, step; for three batches yours are {', '.join(asked.calls)}")
    order = np.random.default_rng(1).permutation(10)
    if not np.array_equal(np.concatenate(asked.seen), x[order]):
        raise Mistake("the batches are not x[rows]: rows are the shuffled row indices of this batch")

    parts = [BOOK.softmax_cross_entropy(x[rows, :3], t[rows])[0] for rows in np.split(order, [4, 8])]
    right = float(np.dot(parts, [4, 4, 2]) / 10)
    if np.isclose(losses[0], sum(parts) / 10):
        raise Mistake("total adds up means; L is a mean over the batch, so it counts once for each row: L * len(rows)")
    if np.isclose(losses[0], 4 * sum(parts) / 10):
        raise Mistake("the last batch is smaller and counts for fewer rows: L * len(rows), not L * batch")
    if losses[0] == 0:
        raise Mistake("total is still 0: add the loss of each batch")
    if not np.isclose(losses[0], right):
        raise Mistake(
            f"the mean loss is {losses[0]:.6g}, and should be {right:.6g}; are targets and rows the same rows?"
        )
