"""The header of a saved network: everything except its numbers, as JSON. Headers from files are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

from .. import layers as layer_module
from .. import losses as loss_module
from .. import optim
from ..arrays.backend import Backend
from ..layers import AveragePool2D, Conv2D, Layer, MaxPool2D
from ..layers.bound import size_of, walk
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .archive import ModelFileError, require

FORMAT, VERSION = "tinynet network", 3
RENAMED: dict[type[Layer], dict[str, str]] = {
    Conv2D: {"kernel": "kernel_size"},
    MaxPool2D: {"size": "pool_size"},
    AveragePool2D: {"size": "pool_size"},
}
"""Arguments of layers that had another name in format 2."""

KINDS = dict(layers=list, states=list, dtype=str, seed=int, epoch=int, notes=dict, loss=dict, optimizer=dict)
Known = dict[str, dict[str, type[Any]]]
"""Classes by name, for each of "layer", "loss" and "optimizer"."""


def header_of(network: Network, optimizer: Optimizer | None) -> dict[str, Any]:
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "layers": _encoded(network.layers),
        "states": [{"counter": layer.counter, "trainable": layer.trainable} for _, _, layer in walk(network.layers)],
        "dtype": network.dtype.name,
        "seed": network.seed,
        "epoch": network.epoch,
        "notes": network.notes,
        "loss": {"loss": type(network.loss).__name__, "config": network.loss.config()} if network.loss else {},
        "optimizer": {},
    }
    if optimizer:
        config = optimizer.config() | ({"lr": None} if callable(optimizer.lr) else {})
        saved = {"optimizer": type(optimizer).__name__, "config": config, "t": optimizer.step_count}
        header["optimizer"] = saved | {"slots": list(optimizer.slots)}
    return header


def checked(header: Any, known: Known) -> dict[str, Any]:
    """Return the header translated to format 3; "version" remains that of the file. Raises ModelFileError if it is
    not a sound header.
    """
    require(isinstance(header, dict) and header.get("format") == FORMAT, f"not a {FORMAT}")
    version = header.get("version")
    readable = type(version) is int and 1 <= version <= VERSION
    require(readable, f"its format is version {version!r}; this version of tinynet reads 1 to {VERSION}")
    if version < 2:
        header = _from_format_1(header)
    if version < 3:
        header = _from_format_2(header, known)
    _check_kinds(header, KINDS)
    require(header["dtype"] in ("float32", "float64"), f"dtype must be a float, is {header['dtype']!r}")
    require(header["epoch"] >= 0, f"epoch must be at least 0, is {header['epoch']}")
    if saved := header["optimizer"]:
        _check_kinds(saved, {"optimizer": str, "config": dict, "t": int, "slots": list}, "its optimizer's ")
        require(0 <= saved["t"] < 2**53, f"its optimizer's t must be from 0 to 2^53, is {saved['t']}")
    return header


def _from_format_1(header: dict[str, Any]) -> dict[str, Any]:
    """Translate format 1 to 2. Format 1 stored a layer's name, arguments and counter in one object, and no loss."""
    _check_kinds(header, {"layers": list, "optimizer": dict})
    states = [{"counter": entry.pop("counter", 0), "trainable": True} for entry in header["layers"]]
    layers = [{"layer": entry.pop("layer", None), "config": entry} for entry in header["layers"]]
    optimizer = header["optimizer"] and header["optimizer"] | {"slots": ["velocity", "m", "v"]}
    return header | {"layers": layers, "states": states, "loss": {}, "optimizer": optimizer}


def _from_format_2(header: dict[str, Any], known: Known) -> dict[str, Any]:
    """Translate format 2 to 3: rename arguments of our own layers."""
    _check_kinds(header, {"layers": list})

    def with_new_names(entry: dict[str, Any]) -> dict[str, Any]:
        renamed = RENAMED.get(known["layer"].get(f"{entry['layer']}", Layer), {})
        return entry | {"config": {renamed.get(name, name): value for name, value in entry["config"].items()}}

    return header | {"layers": _with_layers(header["layers"], with_new_names)}


def _check_kinds(header: dict[str, Any], kinds: dict[str, type], where: str = "") -> None:
    for name, kind in kinds.items():
        found = header.get(name)
        require(type(found) is kind, f"{where}{name} must be {kind.__name__}, is {found!r}")


def check_that_it_reads_back(network: Network, optimizer: Optimizer | None, header: dict[str, Any]) -> None:
    """Raise ModelFileError if the header would not make the same layers, loss and optimizer again."""
    own = [type(part) for part in (*(layer for _, _, layer in walk(network.layers)), network.loss, optimizer)]
    known = known_classes(own, own, own)
    stack, _ = _parts(header, known)
    same = _shapes(stack) == _shapes(network.layers)
    require(same, "the layers made from config() differ in their shapes or in the layers inside them")
    _set_states(stack, header["states"])
    if optimizer:
        made("optimizer", header["optimizer"] | {"config": optimizer.config()}, known, network)


def known_classes(layers: Sequence[type], losses: Sequence[type], optimizers: Sequence[type] = ()) -> Known:
    """Return the classes that a file may name: tinynet's own and those given, which take precedence."""
    return {
        "layer": _classes(layer_module, Layer, layers),
        "loss": _classes(loss_module, Loss, losses),
        "optimizer": _classes(optim, Optimizer, optimizers),
    }


def _classes(module: ModuleType, base: type, own: Sequence[type]) -> dict[str, type]:
    """Return the subclasses of `base` by name. Raises ValueError if two of the user's own share a name."""
    given, mine = (_named(kinds, base) for kinds in (vars(module).values(), own))
    if twice := [kind for kind in own if mine.get(kind.__name__, kind) is not kind]:
        cause = "a file tells classes apart by name only; rename one"
        raise ValueError(f"two classes are named {twice[0].__name__}, but {cause}")
    return given | mine


def _named(kinds: Iterable[Any], base: type) -> dict[str, type]:
    named = {kind.__name__: kind for kind in kinds if isinstance(kind, type) and issubclass(kind, base)}
    return {name: kind for name, kind in named.items() if kind is not base}


def stack_of(header: dict[str, Any], known: Known) -> tuple[list[Layer], Loss | None]:
    """Return the layers and the loss that a header describes."""
    stack, loss = _parts(header, known)
    _set_states(stack, header["states"])
    return stack, loss


def network_of(header: dict[str, Any], stack: Sequence[Layer], loss: Loss | None, backend: Backend) -> Network:
    """Return the network of these layers with the settings of the header. Its parameters still have initial values."""
    network = Network(*stack, seed=header["seed"], dtype=header["dtype"], backend=backend)
    network.epoch, network.notes, network.loss = header["epoch"], header["notes"], loss
    return network


def _parts(header: dict[str, Any], known: Known) -> tuple[list[Layer], Loss | None]:
    stack = _with_layers(header["layers"], lambda entry: made("layer", entry, known))
    others = [entry for entry in stack if not isinstance(entry, Layer)]
    require(not others, f"a layer must be an object with the entries layer and config, is {others[:1]}")
    return stack, made("loss", header["loss"], known) if header["loss"] else None


def _encoded(value: Any) -> Any:
    """Return a config value as JSON. Layers in it, also in lists and dictionaries, become objects."""
    if isinstance(value, Layer):
        return {"layer": type(value).__name__, "config": _encoded(value.config())}
    if isinstance(value, dict):
        are_strings = all(isinstance(name, str) for name in value)
        rule = "dictionaries in a config must have strings as keys, because JSON has no others"
        require(are_strings, f"{rule}; got {value}")
        return {name: _encoded(part) for name, part in value.items()}
    return [_encoded(part) for part in value] if isinstance(value, list | tuple) else value


def _with_layers(value: Any, make: Callable[[dict[str, Any]], Any]) -> Any:
    """Return a part of a header with make(entry) in place of every layer's entry, the innermost first."""
    if isinstance(value, list):
        return [_with_layers(part, make) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"layer", "config"}:
        _check_kinds(value, {"config": dict}, "a layer's ")
        return make(value | {"config": _with_layers(value["config"], make)})
    return {name: _with_layers(part, make) for name, part in value.items()}


def made(what: str, saved: dict[str, Any], known: Known, *arguments: Any) -> Any:
    """Return the layer, loss or optimizer that `saved` describes."""
    name, config, kinds = f"{saved.get(what)}", saved.get("config", {}), known[what]
    others = f"pass your own classes as {'losses' if what == 'loss' else f'{what}s'}=[...]"
    require(name in kinds, f"unknown {what} {name!r}; known are {', '.join(kinds)}; {others}")
    kind = kinds[name]
    try:
        return kind.from_config(config) if what == "layer" else kind(*arguments, **config)
    except (TypeError, ValueError, KeyError) as error:
        raise ModelFileError(f"{name} cannot be made from its config {config}: {error}") from None


def _set_states(stack: Sequence[Layer], states: list[Any]) -> None:
    everywhere = [layer for _, _, layer in walk(stack)]
    require(len(states) == len(everywhere), f"it has {len(states)} states for {len(everywhere)} layers")
    for layer, state in zip(everywhere, states, strict=True):
        _check_kinds(state, {"counter": int, "trainable": bool}, f"{layer}'s ")
        require(state["counter"] >= 0, f"{layer}'s counter must be at least 0, is {state['counter']}")
        layer.counter, layer.trainable = state["counter"], state["trainable"]


def _shapes(stack: Sequence[Layer]) -> list[Any]:
    """Return the class, parameters and buffers of every layer, including those inside."""
    return [(type(layer), layer.shapes(), layer.buffers()) for _, _, layer in walk(stack)]


def sizes_of(stack: Sequence[Layer]) -> dict[str, int]:
    """Return the lengths of the vectors of these layers."""
    buffers = sum(size_of(layer.buffers()) for _, _, layer in walk(stack))
    return {"theta": sum(layer.size for layer in stack), "buffers": buffers}
