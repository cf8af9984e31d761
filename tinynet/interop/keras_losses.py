"""Finds the loss of a network in a Keras file, and what of it tinynet does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..layers import Dense, Layer, Sigmoid, Softmax
from ..losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from .keras_arguments import COMPILE, LOSSES, is_from_keras, unusual
from .keras_files import Contents, snake_case
from .keras_layers import Part
from .keras_readers import Options

ALIASES = {"mse": "mean_squared_error", "bce": "binary_crossentropy"}


def _softmax(options: Options) -> Loss:
    return SoftmaxCrossEntropy(label_smoothing=options.get("label_smoothing", 0))


READERS: dict[str, tuple[type[Loss], Callable[[Options], Loss]]] = {
    "categorical_crossentropy": (SoftmaxCrossEntropy, _softmax),
    "sparse_categorical_crossentropy": (SoftmaxCrossEntropy, _softmax),
    "binary_crossentropy": (BinaryCrossEntropy, lambda options: BinaryCrossEntropy()),
    "mean_squared_error": (MeanSquaredError, lambda options: MeanSquaredError()),
}
"""For each loss of Keras, the class of ours and its reader."""


def with_loss(parts: list[Part], found: Contents) -> tuple[list[Part], Loss, list[str]]:
    """Return the layers, the loss, and what of Keras's loss is not carried over.

    A last activation that the loss applies in `predict` is no longer a layer. If the loss is not carried over, ours is
    the one with which `predict` returns what Keras's does.
    """
    name, options = loss_in(found)
    applied = _applied(parts)
    usual = (parts[:-1], applied()) if applied else (parts, MeanSquaredError())
    if not name:
        return *usual, []
    if name not in READERS:
        return *usual, [f"its loss is {name}; supported are {', '.join(READERS)}"]
    others = unusual(LOSSES, name, options, "changes the training", "changes the outputs")
    others += unusual(COMPILE, "compile", found.training, "changes the training", "changes the outputs")
    problems = [f"its loss {name} has {', '.join(others)}, which tinynet does not support"] if others else []
    kind, read = READERS[name]
    if kind is MeanSquaredError:
        return parts, read(options), problems
    if applied is kind and not options.get("from_logits"):
        return parts[:-1], read(options), problems
    if not applied and options.get("from_logits") and _has_logits(parts, kind):
        return parts, read(options), problems
    wanted = "one sigmoid or logit" if kind is BinaryCrossEntropy else "a softmax or logits"
    logits = f"from_logits={options.get('from_logits', False)}"
    cause = f"its network ends in {parts[-1].layer} with the loss {name} ({logits}); supported is {wanted} at the end"
    return *usual, [*problems, cause]


def loss_in(found: Contents) -> tuple[str, Options]:
    """Return name and options of the loss that the model was compiled with; "" if there is none."""
    said: Any = found.training.get("loss")
    if isinstance(said, dict) and "class_name" not in said and len(said) == 1:
        (said,) = said.values()  # {"name of the output": loss}
    if isinstance(said, list) and len(said) == 1:
        (said,) = said
    if not isinstance(said, dict):
        return _name(said), {}
    if said.get("class_name") == "function":
        return _name(said.get("config")), {}
    known = isinstance(said.get("class_name"), str) and is_from_keras(said)
    return (_name(said["class_name"]), said.get("config") or {}) if known else (f"{said}", {})


def _name(said: Any) -> str:
    name = snake_case(said) if isinstance(said, str) else f"{said or ''}"
    return ALIASES.get(name, name)


def _outputs(parts: list[Part]) -> int | None:
    """Return the units of the last Dense."""
    return next((part.layer.M for part in reversed(parts) if isinstance(part.layer, Dense)), None)


def _applied(parts: list[Part]) -> type[SoftmaxCrossEntropy | BinaryCrossEntropy] | None:
    """Return the loss whose `predictions` apply the last activation; None if there is none."""
    last: Layer = parts[-1].layer
    if len(parts) > 1 and isinstance(last, Softmax):
        return SoftmaxCrossEntropy
    return BinaryCrossEntropy if len(parts) > 1 and isinstance(last, Sigmoid) and _outputs(parts) == 1 else None


def _has_logits(parts: list[Part], kind: type[Loss]) -> bool:
    return kind is SoftmaxCrossEntropy or _outputs(parts) == 1
