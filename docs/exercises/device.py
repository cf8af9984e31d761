"""Arrays as strict as a GPU's, on the host: NumPy's functions take them, but they never mix with NumPy's own arrays."""

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class DeviceArray(NDArrayOperatorsMixin):
    """What CuPy's arrays do: no way out but `to_host`, and no way in but `to_device`."""

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
    """The host's array in a device's; an error for one that was never sent to the device."""
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
    """A method or function that takes and gives a device's arrays; anything else as it is."""
    if not callable(value) or isinstance(value, type | np.dtype):
        return outside(value)
    return lambda *args, **options: outside(
        value(*inside(args), **{name: inside(given) for name, given in options.items()})
    )


def __getattr__(name: str) -> Any:
    """As a module this file is to its arrays what numpy is to NumPy's."""
    if name.startswith("__"):
        raise AttributeError(name)
    return wrapped(getattr(np, name))
