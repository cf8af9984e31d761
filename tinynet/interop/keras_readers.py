"""Makes our layers from Keras's options and arrays. Raises ValueError if our layer would compute something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..files.archive import require
from ..layers import AveragePool2D, BatchNorm, Conv2D, Dense, Dropout, Layer, LayerNorm, LeakyReLU, MaxPool2D, ReLU

Options = dict[str, Any]
LayerAndArrays = tuple[Layer, dict[str, np.ndarray]]
Reader = Callable[[Options, list[np.ndarray]], LayerAndArrays]


def plain(kind: type[Layer]) -> Reader:
    """Return the reader of a layer without arguments and parameters."""
    return lambda options, arrays: (kind(), {})


def pool(kind: type[MaxPool2D | AveragePool2D]) -> Reader:
    return lambda options, arrays: (kind(_pool_size(options)), {})


def relu(options: Options, arrays: list[np.ndarray]) -> LayerAndArrays:
    slope = options.get("negative_slope") or 0
    return (LeakyReLU(slope) if slope else ReLU()), {}


def leaky_relu(options: Options, arrays: list[np.ndarray]) -> LayerAndArrays:
    slope = options["negative_slope"] if "negative_slope" in options else options["alpha"]
    return relu({"negative_slope": slope}, arrays)


def dropout(options: Options, arrays: list[np.ndarray]) -> LayerAndArrays:
    return Dropout(options["rate"]), {}


def dense(options: Options, arrays: list[np.ndarray]) -> LayerAndArrays:
    W, parameters = _kernel_and_bias(arrays, "(D, {})", options["units"], 2)
    return Dense(W.shape[0], options["units"]), parameters


def conv2d(options: Options, arrays: list[np.ndarray]) -> LayerAndArrays:
    kernel, stride = _both(options, "kernel_size"), _both(options, "strides")
    is_same = options["padding"] == "same" and kernel % 2 == 1 and stride == 1
    if options["padding"] != "valid" and not is_same:
        raise ValueError(
            f"a Conv2D with padding={options['padding']}, kernel_size={kernel} and strides={stride} is not supported; "
            "supported are padding=valid, and padding=same with an odd kernel_size and strides=1"
        )
    W, parameters = _kernel_and_bias(arrays, f"({kernel}, {kernel}, C, {{}})", options["filters"], 4)
    require(W.shape[:2] == (kernel, kernel), f"expected a kernel of {kernel} x {kernel}, got {W.shape}")
    return Conv2D(W.shape[2], options["filters"], kernel, stride, kernel // 2 if is_same else 0), parameters


def batch_norm(options: Options, arrays: list[np.ndarray]) -> LayerAndArrays:
    vectors = _vectors(options, arrays, ["mean", "variance"])
    momentum = round(1 - options["momentum"], 12)
    return BatchNorm(len(vectors["mean"]), momentum, options["epsilon"], ddof=0), vectors


def layer_norm(options: Options, arrays: list[np.ndarray]) -> LayerAndArrays:
    if not (options.get("scale", True) or options.get("center", True)):
        raise ValueError("a LayerNormalization with neither gamma nor beta is not supported")
    vectors = _vectors(options, arrays, [])
    return LayerNorm(len(next(iter(vectors.values()))), options["epsilon"]), vectors


def _kernel_and_bias(
    arrays: list[np.ndarray], form: str, units: int, axes: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    require(1 <= len(arrays) <= 2, f"expected a kernel and a bias, got {len(arrays)} arrays")
    W, *bias = arrays
    fits = W.ndim == axes and W.shape[-1] == units
    require(fits, f"expected a kernel {form.format(units)}, got {W.shape}")
    require(all(b.shape == (units,) for b in bias), f"expected a bias ({units},), got {bias and bias[0].shape}")
    return W, _floats({"W": W} | ({"b": bias[0]} if bias else {}))


def _vectors(options: Options, arrays: list[np.ndarray], buffers: list[str]) -> dict[str, np.ndarray]:
    learned = [name for name, switch in (("gamma", "scale"), ("beta", "center")) if options.get(switch, True)]
    names, shapes = learned + buffers, [array.shape for array in arrays]
    fit = len(shapes) == len(names) and len(set(shapes)) == 1 and len(shapes[0]) == 1
    require(fit, f"expected {', '.join(names)} of one length, got {shapes}")
    return _floats(dict(zip(names, arrays, strict=True)))


def _floats(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    floats = all(value.dtype.kind == "f" for value in arrays.values())
    require(floats, "expected floats, got integers")
    return arrays


def _pool_size(options: Options) -> int:
    size, strides = _both(options, "pool_size"), options.get("strides")
    if options["padding"] != "valid" or (strides and _both(options, "strides") != size):
        given = f"pool_size={size}, strides={strides} and padding={options['padding']}"
        raise ValueError(f"pooling with {given} is not supported: patches must not overlap, without padding")
    return size


def _both(options: Options, name: str) -> int:
    """Return the number that Keras has for rows and for columns."""
    value = options[name]
    rows, columns = value if isinstance(value, list) else (value, value)
    if rows != columns:
        raise ValueError(f"{name}={value} is not supported: rows and columns must have the same")
    return rows
