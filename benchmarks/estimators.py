"""tn.Classifier and scikit-learn's MLPClassifier on the same digits with the same settings, ten seeds in turn.

python benchmarks/estimators.py
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

import numpy as np
from report import markdown, write_section
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import tinynet as tn

SEEDS, ROWS = range(10), 10_000
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (48, 24), "batch_size": 32, "max_iter": 20, "tol": 0}
DTYPES = (np.float32, np.float64)


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = tn.data.mnist_split()
    rows = []
    for dtype in DTYPES:
        x, x_val = ((pixels / 255).astype(dtype) for pixels in (digits.x_train[:ROWS], digits.x_val))
        y = digits.y_train[:ROWS]
        tn.Classifier(**SETTINGS).fit(x, y)  # compiles
        found: dict[str, list[tuple[float, float]]] = {"tn.Classifier": [], "MLPClassifier": []}
        for seed in SEEDS:
            ours = tn.Classifier(**SETTINGS, random_state=seed)
            for model in (ours, MLPClassifier(**SETTINGS, alpha=0, random_state=seed)):
                start = time.perf_counter()
                model.fit(x, y)
                seconds = time.perf_counter() - start
                found["tn.Classifier" if model is ours else "MLPClassifier"].append(
                    (seconds, model.score(x_val, digits.y_val))
                )
        rows += [row(name, dtype, times_and_scores) for name, times_and_scores in found.items()]
    write_section(
        "estimators.py: tn.Classifier and scikit-learn's MLPClassifier",
        f"{markdown(rows)}\n\n784-48-24-10, {ROWS:,} digits, batches of 32, 20 epochs; {len(SEEDS)} seeds in turn, "
        "evaluated on 10,000 other digits.",
    )


def row(name: str, dtype: type[np.floating], found: list[tuple[float, float]]) -> dict[str, str]:
    times, scores = zip(*found, strict=True)
    return {
        "estimator": name,
        "X": np.dtype(dtype).name,
        "accuracy": f"{statistics.fmean(scores):.4f} ± {statistics.stdev(scores):.4f}",
        "seconds, median": f"{statistics.median(times):.2f}",
    }


if __name__ == "__main__":
    main()
