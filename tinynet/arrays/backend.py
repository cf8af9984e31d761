"""Where arrays live, and whose version of each function serves them.

A backend is a module in `tinynet.kernels` that holds faster versions of functions in `functions.py`, under the
same names; where arrays do not live on the host, also `xp`, `to_device`, `to_host`, `synchronize` and `use`; if it
can, faster `train_steps`, `evaluate_steps` or `share_steps` than those of `training/` and `parallel/`; and a `note`
for `summary`. "numpy" are the readable functions themselves; its module only spares them passes through memory, and
changes no bit but in convolutions. Many processes that compute as one are a backend as well: `parallel/across.py`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .. import functions, kernels
from . import Array

FASTEST_FIRST = ("cupy", "numba")


@dataclass(frozen=True, repr=False)
class Backend:
    """Arrays of one kind (`xp`), the way there and back, and the functions that serve them (`ops`).

    to_host(to_device(x)) = x. `train_steps`, `evaluate_steps` and `progress` are other versions of those in
    `training/`, if there are any, and `share_steps` of the one in `parallel/`; `once(act)` is the result of what only
    one of many processes should do, as to write a file, and `alone` the backend that each of them computes with;
    `describe()` says in a line what computes, and what memory it holds; `note` says what is faster, or what "auto"
    would have liked better, and why it was not to be had.
    """

    name: str
    xp: Any
    ops: SimpleNamespace
    to_device: Callable[[np.ndarray], Array]
    to_host: Callable[[Array], np.ndarray]
    synchronize: Callable[[], None]
    describe: Callable[[], str]
    train_steps: Callable[..., Any] | None = None
    evaluate_steps: Callable[..., Any] | None = None
    share_steps: Callable[..., Any] | None = None
    note: str = ""
    progress: Callable[..., Any] | None = None
    once: Callable[[Callable[[], Any]], Any] = lambda act: act()
    alone: Backend | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """By name: what is unpickled is the backend of that name, or `backend`'s error where there is none."""
        return _unpickled, (self.name,)

    def __copy__(self) -> Backend:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        return self

    def __repr__(self) -> str:
        return f"<Backend {self.name}: {self.describe()}{'; ' if self.note else ''}{self.note}>"


def backend(name: str | Backend) -> Backend:
    """The backend of that name; a `Backend` is returned as it is, and "auto" is the fastest that works here.

    "cupy:1" is the second GPU, which becomes the current one of this thread: choose it once, before arrays are made
    there. Raises ValueError, with the names there are, for one that this installation does not have, and ImportError,
    with what to do, for one that does not work.
    """
    if isinstance(name, Backend):
        return name
    if name == "auto":
        return _fastest()
    kind, _, device = name.partition(":") if isinstance(name, str) else (name, "", "")
    module = _kernels(kind)
    if device:
        _use(kind, module, device)
    return Backend(
        name,
        getattr(module, "xp", np),
        SimpleNamespace(**(FUNCTIONS | _overrides(module))),
        getattr(module, "to_device", np.asarray),
        getattr(module, "to_host", np.asarray),
        getattr(module, "synchronize", lambda: None),
        getattr(module, "describe", lambda: f"NumPy {np.__version__} on the host"),
        getattr(module, "train_steps", None),
        getattr(module, "evaluate_steps", None),
        getattr(module, "share_steps", None),
        getattr(module, "note", ""),
    )


def _unpickled(name: str) -> Backend:
    try:
        return backend(name)
    except (ValueError, ImportError) as error:
        way_out = "network.copy(backend='numpy') can be unpickled anywhere; save and resume bring an optimizer along"
        raise type(error)(f"this pickle was made on backend {name!r}: {error}; {way_out}") from None


def backends() -> list[str]:
    """The names that `backend` takes here; any other is its ValueError."""
    import pkgutil  # here, so that `import tinynet` stays quick

    modules = [module.name for module in pkgutil.iter_modules(kernels.__path__)]
    return [name for name in modules if not name.startswith("_")]


def _fastest() -> Backend:
    reasons: list[str] = []
    for name in FASTEST_FIRST:
        try:
            return replace(backend(name), note="; ".join(reasons))
        except (ValueError, ImportError) as error:
            reasons.append(str(error))
    return replace(backend("numpy"), note="; ".join(reasons))


def _kernels(name: str) -> ModuleType:
    if name not in backends():
        raise ValueError(f"backend takes one of auto, {', '.join(backends())}; got {name!r}")
    try:
        return importlib.import_module(f"tinynet.kernels.{name}")
    except ImportError as error:
        raise ImportError(f"backend {name!r} does not work here: {error}") from error


def _use(name: str, module: ModuleType, device: str) -> None:
    use = getattr(module, "use", None)
    if not use or not device.isdecimal():
        raise ValueError(f"backend takes the number of a device for a GPU, as in 'cupy:1'; got '{name}:{device}'")
    use(int(device))


def _overrides(module: ModuleType) -> dict[str, Callable[..., Any]]:
    return {name: getattr(module, name) for name in FUNCTIONS if hasattr(module, name)}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: function
    for name, function in inspect.getmembers(functions, inspect.isfunction)
    if function.__module__ == functions.__name__ and not name.startswith("_")
}
"""Every map of `functions.py`, by name: what a backend offers, and what its kernels may replace."""
