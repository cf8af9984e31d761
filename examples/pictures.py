"""Pictures of the comparison, each a matplotlib Figure."""

from __future__ import annotations

import io
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import tinynet as tn


def png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def curves(runs: list[tn.Run], columns: int = 4) -> Figure:
    """Draw loss and accuracy per epoch for each network, for training and validation."""
    columns = min(columns, len(runs))
    bands = -(-len(runs) // columns)
    figure = Figure(figsize=(3.6 * columns, 5.2 * bands), layout="constrained", dpi=110)
    for band, half in enumerate(np.atleast_1d(figure.subfigures(bands, 1))):
        grid = half.subplots(2, columns, sharex="col", sharey="row", squeeze=False)
        for k, (loss, accuracy) in enumerate(grid.T, start=band * columns):
            if k < len(runs):
                _curve(loss, runs[k], "loss")
                _curve(accuracy, runs[k], "accuracy")
                loss.set_title(runs[k].name, fontsize=11)
                accuracy.set_xlabel("epoch")
            else:
                loss.axis("off")
                accuracy.axis("off")
        shares = [0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99]
        grid[0, 0].set(ylabel="loss", yscale="log", ylim=(0.01, 3), yticks=[0.01, 0.03, 0.1, 0.3, 1, 3])
        grid[1, 0].set(ylabel="accuracy", yscale="logit", ylim=(0.1, 0.999), yticks=shares)
        for axes, text in ((grid[0, 0], "{x:g}"), (grid[1, 0], "{x:.0%}")):
            axes.yaxis.set_major_formatter(text)
            axes.yaxis.set_minor_formatter("")
        grid[0, 0].legend(fontsize=9)
    return figure


def confusion(run: tn.Run, x: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw the confusion matrix of a network."""
    predicted = tn.predict_classes(run.network, x)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, predicted), 1)
    figure = Figure(figsize=(7, 6.4), layout="constrained", dpi=110)
    axes = figure.subplots()
    mistakes = counts * (1 - np.eye(10, dtype=int))
    axes.imshow(mistakes, cmap="Oranges", vmax=max(mistakes.max(), 1) * 2)
    for (row, column), count in np.ndenumerate(counts):
        if row == column:  # a frame marks correct predictions without color
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="0.6"))
        if count:
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=9)
    right = counts.diagonal() / counts.sum(axis=1)
    axes.set_xticks(range(10))
    axes.set_yticks(range(10), [f"{digit}   {share:.1%}" for digit, share in enumerate(right)])
    axes.set(xlabel="what the network said", ylabel="the digit, and the share that was read right")
    axes.set_title(f"{run.name}: {mistakes.sum()} of {len(predicted):,} validation digits misread")
    return figure


def mistakes(best: tn.Run, x: np.ndarray, labels: np.ndarray, runs: list[tn.Run], rows: int = 4) -> Figure:
    """Draw digits that the best network misreads, with all predictions. The most probable mistakes come first."""
    columns = 8
    p = tn.predict(best.network, x)
    wrong = np.flatnonzero(p.argmax(axis=1) != labels)
    shown = wrong[np.argsort(-p[wrong].max(axis=1))][: rows * columns]
    rows = max(1, -(-len(shown) // columns))
    votes = [tn.predict_classes(run.network, x[shown]) for run in runs]
    figure = Figure(figsize=(1.75 * columns, 2.6 * rows), layout="constrained", dpi=110)
    for k, axes in enumerate(figure.subplots(rows, columns).flat):
        axes.axis("off")
        if k < len(shown):
            axes.imshow(x[shown[k]].reshape(28, 28), cmap="gray_r", vmin=0, vmax=255)
            axes.set_title(f"{labels[shown[k]]}, read as {p[shown[k]].argmax()}", fontsize=10)
            _votes(axes, [vote[k] for vote in votes], labels[shown[k]])
    figure.suptitle(f"{best.name}'s surest mistakes: {len(wrong)} in all", fontsize=13)
    order = ", ".join(run.name for run in runs)
    legend = f"Below each digit, what the networks said, right answers boxed in green; from the left: {order}"
    figure.supxlabel(textwrap.fill(legend, 150), fontsize=9)
    return figure


def weights(runs: list[tn.Run], most: int = 64) -> Figure:
    """Draw the weights of each unit in one first layer: that of the network with the most units up to `most`."""
    firsts = {run.name: next(layer for layer in run.network if isinstance(layer, tn.Dense)) for run in runs}
    name = max(firsts, key=lambda name: firsts[name].M if most >= firsts[name].M else 0)
    W = runs[0].network.backend.to_host(firsts[name].W)[:, :most]
    columns = 12
    rows = -(-W.shape[1] // columns)
    figure = Figure(figsize=(columns, rows + 0.8), layout="constrained", dpi=110)
    scale = np.quantile(abs(W), 0.995)
    for k, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if k < W.shape[1]:
            axes.imshow(W[:, k].reshape(28, 28), cmap="RdBu_r", vmin=-scale, vmax=scale)
    figure.suptitle(f"First layer of {name}: where a unit wants ink (red) and where it does not (blue)")
    return figure


def feature_maps(run: tn.Run, digit: np.ndarray, columns: int = 16) -> Figure:
    """Draw the filters of the first convolution, and the output of each ReLU for one digit."""
    network = run.network.copy(backend="numpy")
    outputs = network.activations(digit[None].astype(np.float32) / 255)
    relus = [(name, maps[0]) for name, maps in outputs.items() if "ReLU" in name and " / " not in name]
    filters = next(layer.W[:, 0] for layer in network if isinstance(layer, tn.Conv2D))
    bands = [("patches", filters, "RdBu_r"), *((name, maps, "gray_r") for name, maps in relus)]
    figure = Figure(figsize=(columns, 1.35 * len(bands) + 0.5), layout="constrained", dpi=110)
    halves = np.atleast_1d(figure.subfigures(len(bands), 1))
    for half, (name, maps, colors) in zip(halves, bands, strict=True):
        highest = np.abs(maps).max()
        for k, axes in enumerate(half.subplots(1, columns)):
            axes.axis("off")
            if k < len(maps):
                axes.imshow(maps[k], cmap=colors, vmin=-highest if colors == "RdBu_r" else 0, vmax=highest)
        shown = f"the first {columns} of {len(maps)}" if len(maps) > columns else f"all {len(maps)}"
        half.suptitle(f"{name}: {shown}, {maps.shape[1]} x {maps.shape[2]}", fontsize=10)
    figure.suptitle(f"{run.name}: its first patches, and what becomes of a digit")
    return figure


def costs(networks: pd.DataFrame) -> Figure:
    """Draw the error of each network over its parameters and over its seconds of training."""
    figure = Figure(figsize=(12, 5.4), layout="constrained", dpi=110)
    errors = 100 * (1 - networks.accuracy)
    for axes, column in zip(figure.subplots(1, 2, sharey=True), ("parameters", "seconds"), strict=True):
        axes.loglog(networks[column], errors, "o", color="tab:blue")
        for name, cost, error in zip(networks.index, networks[column], errors, strict=True):
            axes.annotate(name, (cost, error), xytext=(5, 2), textcoords="offset points", fontsize=8, rotation=25)
        axes.set(xlabel={"parameters": "parameters", "seconds": "seconds of training"}[column])
        axes.set(xlim=_decades(networks[column]), ylim=_decades(errors))
        axes.yaxis.set_major_formatter("{x:g} %")
        axes.grid(alpha=0.3, which="both")
    figure.supylabel("misread of the digits that it was not trained on", fontsize=10)
    return figure


def _decades(values: pd.Series) -> tuple[float, float]:
    return 10 ** np.floor(np.log10(values.min())), 3 * 10 ** np.ceil(np.log10(values.max()))


def predictions(run: tn.Run, images: np.ndarray, predicted: np.ndarray) -> Figure:
    """Draw the first unlabeled digits, each with index:prediction above it."""
    rows, columns = 20, 25
    cell, top = 38, 9
    page = np.zeros((rows * cell, columns * cell), np.uint8)
    figure = Figure(figsize=(0.62 * columns, 0.64 * rows), layout="constrained", dpi=110)
    axes = figure.subplots()
    for k, pixels in enumerate(images):
        y, x = k // columns * cell, k % columns * cell
        page[y + top : y + top + 28, x + 5 : x + 33] = pixels.reshape(28, 28)
        axes.text(x + cell / 2, y + top, f"{k}:{predicted[k]}", ha="center", va="bottom", fontsize=8, in_layout=False)
    for top_of_row in range(0, rows * cell, cell):  # the whole page at once would take 200 MiB
        extent = 0, columns * cell, top_of_row + cell, top_of_row
        axes.imshow(page[top_of_row : top_of_row + cell], cmap="gray_r", vmin=0, vmax=255, extent=extent)
    axes.set(xlim=(0, columns * cell), ylim=(rows * cell, 0))
    axes.axis("off")
    axes.set_title(f"{run.name} on digits whose labels it never saw, index:prediction")
    return figure


def _curve(axes: Axes, run: tn.Run, field: str) -> None:
    epochs = [record.epoch for record in run.history]
    running = [getattr(record, field) for record in run.history]
    axes.plot(epochs, running, "--", color="tab:orange", label="training, running mean")
    validation = [getattr(record, f"val_{field}") for record in run.history]
    if validation[-1] is not None:
        axes.plot(epochs, validation, color="tab:blue", label="validation")
    axes.set_xlim(0, epochs[-1] + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)


def _votes(axes: Axes, votes: list[int], right: int) -> None:
    """Write the predictions of all networks below a digit, correct ones on green."""
    for k, vote in enumerate(votes):
        style = {"facecolor": "#b7e4b0", "edgecolor": "#2e7d32", "pad": 1.5} if vote == right else None
        x = 0.06 + 0.88 * (k + 0.5) / len(votes)
        axes.text(x, -0.08, f"{vote}", transform=axes.transAxes, ha="center", va="top", fontsize=8, bbox=style)
