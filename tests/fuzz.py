"""Fuzzing: mutated files of networks, ours and Keras's, must load a valid network or be refused.

python tests/fuzz.py [--kind npz] [--mutations 100000] [--seed 0]
"""

import argparse
import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import own_layers
from own_layers import OWN, BatchNorm, Power, SignDescent

import tinynet as tn
from tinynet.interop import keras_files
from tinynet.layers.residual import features_in

FORMATS = [Path(__file__).parent / "fixtures" / f"format-{k}.npz" for k in (1, 2)]
KNOWN = {"layers": [*OWN, BatchNorm], "losses": [Power], "optimizers": [SignDescent]}


def flip_a_bit(draw, content):
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def set_bytes(draw, content):
    for _ in range(draw.randint(1, 4)):
        content[draw.randrange(len(content))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))


def cut_off(draw, content):
    del content[draw.randrange(len(content)) :]


def cut_out(draw, content):
    start = draw.randrange(len(content))
    del content[start : start + draw.randint(1, 50)]


def splice(draw, content):
    start, to = draw.randrange(len(content)), draw.randrange(len(content))
    content[to:to] = content[start : start + draw.randint(1, 50)]


def edit_text(draw, content):
    """Insert a character that can change JSON and array headers."""
    for _ in range(draw.randint(1, 2)):
        content[draw.randrange(len(content))] = draw.choice(b"0123456789-+.eE\"'[]{}(),:L \\x")


MUTATIONS = (flip_a_bit, set_bytes, cut_off, cut_out, splice, edit_text)


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Return the file with a mutation anywhere, or in one member of an archive, with valid checksums."""
    mutate = draw.choice(MUTATIONS)
    inside = members(content) if zipfile.is_zipfile(io.BytesIO(content)) else {}
    name = draw.choice([None, *inside])
    changed = bytearray(inside[name] if name else content)
    mutate(draw, changed)
    return packed(inside | {name: bytes(changed)}) if name else bytes(changed)


Reader = Callable[[Path], tuple[tn.Network, tn.Optimizer]]


def status(path: Path, read: Reader) -> str:
    """Return "refused" or "loaded". A loaded network must be finite, consistent and trainable."""
    try:
        net, optimizer = read(path)
    except tn.ModelFileError:
        return "refused"
    vectors = [net.theta, *(getattr(optimizer, name) for name in optimizer.slots)]
    assert all(len(vector) == len(net.theta) and np.isfinite(vector).all() for vector in (*vectors[1:], vectors[0]))
    assert np.isfinite(net.buffers).all()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = np.zeros((2, 1, 2, 2) if isinstance(net[0], tn.Flatten) else (2, features_in(net.layers) or 4))
        targets = np.full((2, net.output_shape(rows.shape[1:])[0]), 1 / net.output_shape(rows.shape[1:])[0])
        tn.fit(net, optimizer, rows, targets, epochs=1)
    return "loaded"


def resume_npz(path: Path) -> tuple[tn.Network, tn.Optimizer]:
    return tn.resume(path, **KNOWN)


def read_safetensors(path: Path) -> tuple[tn.Network, tn.Optimizer]:
    net = tn.from_safetensors(path, layers=KNOWN["layers"], losses=KNOWN["losses"])
    return net, tn.SGD(net)


def forked(path: Path) -> bytes:
    """Do as `keras_files.apart`, but 100 times as fast: in a fork of this process with an alarm."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        with os.fdopen(writer, "wb") as file:
            file.write(keras_files.told(str(path)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read()
    if os.waitpid(child, 0)[1]:
        raise tn.ModelFileError("damaged: the process that read it crashed")
    return answer


def read_keras(path: Path) -> tuple[tn.Network, tn.Optimizer]:
    """Read the network, and its optimizer if that is valid."""
    net = tn.from_keras(path)
    with contextlib.suppress(tn.ModelFileError):
        return tn.resume_keras(path)
    return net, tn.SGD(net)


def npz_files(folder: Path) -> list[bytes]:
    """Return a file of each format, and one with blocks, buffers, frozen layers, and own optimizer and loss classes."""
    net = own_layers.network()
    net[2].trainable = False
    net.loss = Power(p=2)
    tn.save(net, folder / "blocks.npz", SignDescent(net, mu=0.25))
    return [path.read_bytes() for path in (*FORMATS, folder / "blocks.npz")]


def safetensors_files(folder: Path) -> list[bytes]:
    net = own_layers.network()
    net.loss = Power(p=2)
    tn.to_safetensors(net, folder / "blocks.safetensors")
    return [(folder / "blocks.safetensors").read_bytes()]


def files_of_keras(folder: Path) -> list[bytes]:
    """Return files written by Keras with an optimizer, and one in the layout of Keras 2.2."""
    import test_keras

    adam = test_keras.build(test_keras.K.Dense(4, "relu"), test_keras.K.Dropout(0.1), test_keras.K.Dense(3, "softmax"))
    adam.optimizer.build(adam.trainable_variables)
    for kind in ("h5", "keras"):
        adam.save(folder / f"model.{kind}")
    test_keras.old_file(folder / "old.h5")
    return [(folder / name).read_bytes() for name in ("model.h5", "model.keras", "old.h5")]


KINDS: dict[str, tuple[Callable[[Path], list[bytes]], Reader]] = {
    "npz": (npz_files, resume_npz),
    "safetensors": (safetensors_files, read_safetensors),
    "keras": (files_of_keras, read_keras),
}


def run(mutations: int, seed: int, kind: str = "npz") -> Counter[str]:
    """Return how many files were loaded and refused. Raises the first unexpected error."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name, mock.patch.object(keras_files, "apart", forked):
        files, read = KINDS[kind]
        originals, path = files(Path(name)), Path(name) / f"mutant.{kind}"
        for k in range(mutations):
            draw = random.Random(f"{seed} {k}")
            path.write_bytes(mutated(draw.choice(originals), draw))
            try:
                found[status(path, read)] += 1
            except BaseException:
                print(f"mutation {k} of seed {seed} failed")
                raise
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, default="npz")
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    found = run(options.mutations, options.seed, options.kind)
    print(f"{dict(found)} in {time.perf_counter() - start:.0f} s, seed {options.seed}, {options.kind}")


if __name__ == "__main__":
    sys.exit(main())
