"""Arrays on the host that act like a GPU's: NumPy's functions accept them, but they do not mix with NumPy's arrays."""

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class DeviceArray(NDArrayOperatorsMixin):
    """An array like CuPy's: only `to_host` and `to_device` convert from and to NumPy's arrays."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def __array__(self, *_: Any, **__: Any) -> None:
        raise TypeError("a device's array cannot become one of NumPy's; compute with its own functions")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if options.get("out"):
            options["out"] = tuple(inside(array) for array in options["out"])
        return outside(getattr(ufunc, method)(*inside(inputs), **options))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return outside(function(*inside(args), **{name: inside(value) for name, value in options.items()}))

    def __getattr__(self, name: str) -> Any:
        return wrapped(getattr(self.host, name))

    def __getitem__(self, index: Any) -> Any:
        return outside(self.host[inside(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.host[inside(index)] = inside(value)

    def __len__(self) -> int:
        return len(self.host)

    def __float__(self) -> float:
        return float(self.host)


ndarray = DeviceArray


def inside(value: Any) -> Any:
    """Return the host array inside a device array. Raises TypeError for a NumPy array, which is not on the device."""
    if isinstance(value, DeviceArray):
        return value.host
    if isinstance(value, tuple | list):
        return type(value)(inside(part) for part in value)
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array among a device's; make it where x is, from module_of(x) or with zeros_like(x)")
    return value


def outside(value: Any) -> Any:
    return DeviceArray(value) if isinstance(value, np.ndarray | np.generic) else value


def wrapped(value: Any) -> Any:
    """Return a function that takes and returns device arrays; any other value unchanged."""
    if not callable(value) or isinstance(value, type | np.dtype):
        return outside(value)
    return lambda *args, **options: outside(
        value(*inside(args), **{name: inside(given) for name, given in options.items()})
    )


def __getattr__(name: str) -> Any:
    """Return numpy's function of this name, for device arrays."""
    if name.startswith("__"):
        raise AttributeError(name)
    return wrapped(getattr(np, name))
