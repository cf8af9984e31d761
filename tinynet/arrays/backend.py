"""Backends: where arrays live, and which version of each function computes with them.

The backend "numpy" is `functions.py` itself: `backend("numpy").ops is tinynet.functions`. Any other backend is a module
in `tinynet.kernels`. It holds kernels under the names of the functions that they replace, and takes the remaining
functions from `functions.py`. It may also define `train_steps` and `evaluate_steps`, compiled versions of those in
`training/`; `compile_step`; `describe` and `note`; and, if its arrays live on a device, `xp`, `to_device`, `to_host`,
`synchronize` and `use`.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .. import functions, kernels
from . import Array

FASTEST_FIRST = ("cupy", "numba", "numpy-fast")
READABLE = "these are the readable functions; backend='auto' takes the fastest that works here"


def _nothing_to_compile(*of_a_step: Any) -> None:
    """Compile nothing: the functions of NumPy are ready."""


def _describe_numpy() -> str:
    return f"NumPy {np.__version__} on the host"


@dataclass(frozen=True, kw_only=True, repr=False)
class Backend:
    """Arrays of one kind (`xp`), the functions that compute with them (`ops`), and the way to the host and back.

    to_host(to_device(x)) = x. `train_steps` and `evaluate_steps` are compiled versions of those in `training/`, if any.
    `compile_step` compiles what a step needs; `fit` calls it before its clock starts.
    `describe()` returns one line about what computes. `note` is shown by `summary`, for example why "auto" did not take
    a faster backend. A backend is pickled by its name.
    """

    name: str
    ops: ModuleType | SimpleNamespace
    xp: Any = np
    to_device: Callable[[np.ndarray], Array] = np.asarray
    to_host: Callable[[Array], np.ndarray] = np.asarray
    synchronize: Callable[[], None] = lambda: None
    describe: Callable[[], str] = _describe_numpy
    train_steps: Callable[..., Any] | None = None
    evaluate_steps: Callable[..., Any] | None = None
    compile_step: Callable[..., None] = _nothing_to_compile
    note: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.name,)

    def __copy__(self) -> Backend:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        return self

    def __repr__(self) -> str:
        return f"<Backend {self.name}: {self.describe()}{'; ' if self.note else ''}{self.note}>"


NUMPY = Backend(name="numpy", ops=functions, note=READABLE)


def backend(name: str | Backend) -> Backend:
    """Return the backend of that name. A `Backend` is returned unchanged; "auto" is the fastest that works here.

    "cupy:1" is the second GPU, which becomes the current GPU of this thread. Choose it once, before arrays are made
    there. Raises ValueError for an unknown name and lists the known ones, and ImportError for a backend that does not
    work here and says why.
    """
    if isinstance(name, Backend):
        return name
    return NUMPY if name == "numpy" else _accelerated(name)


def _accelerated(name: str) -> Backend:
    if name == "auto":
        return _fastest()
    kind, _, device = name.partition(":") if isinstance(name, str) else (name, "", "")
    module = kernels_of(kind)
    if device:
        _use(kind, module, device)
    return _backend_of(name, module)


def backends() -> list[str]:
    """Return the names that `backend` knows: "numpy", and one for each module in `tinynet.kernels`."""
    import pkgutil  # here, so that `import tinynet` stays quick

    modules = [module.name for module in pkgutil.iter_modules(kernels.__path__)]
    return ["numpy", *(name.replace("_", "-") for name in modules if not name.startswith("_"))]


def kernels_of(name: str) -> ModuleType:
    """Return the module that holds a backend's functions. Raises ValueError and ImportError as `backend` does."""
    if name == "numpy":
        return functions
    if name not in backends():
        raise ValueError(f"backend: expected one of auto, {', '.join(backends())}; got {name!r}")
    try:
        return importlib.import_module(f"{kernels.__name__}.{name.replace('-', '_')}")
    except ImportError as error:
        raise ImportError(f"backend {name!r} does not work here: {error}") from error


def _backend_of(name: str, module: ModuleType) -> Backend:
    replaced = {function: getattr(module, function) for function in FUNCTIONS if hasattr(module, function)}
    fields = (
        field for field in Backend.__dataclass_fields__ if field not in ("name", "ops") and hasattr(module, field)
    )
    return Backend(
        name=name, ops=SimpleNamespace(**FUNCTIONS | replaced), **{field: getattr(module, field) for field in fields}
    )


def available_cores() -> int:
    """Return how many cores this process may use, also on systems without CPU affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fastest() -> Backend:
    reasons: list[str] = []
    for name in FASTEST_FIRST:
        try:
            found = backend(name)
        except Exception as error:
            reasons.append(str(error) if isinstance(error, ImportError) else f"backend {name!r} fails: {error!r}")
        else:
            return replace(found, note="; ".join(reasons))
    return replace(NUMPY, note="; ".join(reasons))


def _use(name: str, module: ModuleType, device: str) -> None:
    use = getattr(module, "use", None)
    if not use or not device.isdecimal():
        raise ValueError(
            f"backend: expected the number of a GPU after the colon, as in 'cupy:1'; got '{name}:{device}'"
        )
    use(int(device))


def _unpickled(name: str) -> Backend:
    try:
        return backend(name)
    except (ValueError, ImportError) as error:
        cure = "network.copy(backend='numpy') can be unpickled anywhere; save and resume carry an optimizer along"
        raise type(error)(f"this pickle was made on backend {name!r}: {error}; {cure}") from None


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: function
    for name, function in inspect.getmembers(functions, inspect.isfunction)
    if function.__module__ == functions.__name__ and not name.startswith("_")
}
"""Every function of `functions.py` by name: what a backend offers, and what its kernels may replace."""
