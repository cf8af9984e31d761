from dataclasses import replace

import device
import numpy as np
from checking import Mistake

import tinynet as tn

HINTS = (
    "y = x s depends on x twice, directly and through s. So dx has two terms; both are in the question.",
    "Every row uses beta: dbeta sums dy x ds/dbeta over the rows, in the shape (1, D).",
    "Write into the view, self.dbeta[...] = ...; the network does not see a new array of that name.",
    "Make new arrays with zeros_like(x), or from tinynet.arrays.module_of(x): they have its device and dtype.",
)
NOT_SEEN = "the network does not see this dbeta: write into the view, self.dbeta[...] = ..."


def check(answer):
    draw = np.random.default_rng(21)
    x = draw.normal(size=(6, 4))
    layer = answer.Swish(4)
    try:
        report = tn.gradient_check_layer(layer, x)
    except ValueError as error:
        if "was replaced" in str(error):
            raise Mistake(NOT_SEEN) from error
        raise
    if report.failures:
        raise Mistake(f"{what_it_saw(report)}\n{report}")

    for dtype in ("float32", "float64"):
        network = tn.Network(layer.copy(), seed=1, dtype=dtype)
        y = network.forward(x.astype(dtype), train=True)
        dx = network.backward(np.ones_like(y), need_dx=True)
        found = {"forward": str(y.dtype), "backward": str(dx.dtype)}
        for what, got in found.items():
            if got != dtype:
                raise Mistake(f"{what} makes {got} of a network in {dtype}: twice the memory, half the speed")

    strict = replace(
        tn.backend("numpy"), name="a strict device", xp=device, to_device=device.DeviceArray, to_host=lambda y: y.host
    )
    there = network.copy(backend=strict)
    try:
        there.forward(device.DeviceArray(x), train=True)
        moved = there.backward(device.DeviceArray(np.ones_like(x)), need_dx=True)
    except TypeError as error:
        raise Mistake(f"right on the host, but not on a device: {error}") from error
    if not isinstance(moved, device.DeviceArray):
        raise Mistake("right on the host, but on a device backward returns an array of the host")
    assert np.allclose(moved.host, dx)
    if not report:
        raise Mistake(f"both gradients are right, and another check fails\n{report}")


def what_it_saw(report):
    """Describe the failures."""
    names = {entry.name for entry in report.failures}
    if any("not written" in hint for hint in report.hints):
        return NOT_SEEN
    if names == {"x"}:
        return "dbeta is right, dx is not: x takes part twice, directly and through s"
    if "x" not in names:
        return "dx is right, dbeta is not: it is the sum over the rows of dy x ds/dbeta"
    return "both gradients are wrong"
