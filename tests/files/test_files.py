"""Saving and loading: results are equal bit for bit, writes are atomic, and claims of a file are checked."""

import io
import json
import os
import pathlib
import re
import tracemalloc
import zipfile

import fuzz
import numpy as np
import own_layers
import pytest
from own_layers import OWN, BatchNorm, Forked, Power, SignDescent, pictures, state

import tinynet as tn

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
FORMAT_1, FORMAT_2 = FIXTURES / "format-1.npz", FIXTURES / "format-2.npz"
FORMAT_2_PICTURES = FIXTURES / "format-2-pictures.npz"


def network(**options):
    return tn.mlp(2, [3], 2, dropout=[0.1, 0.2], **options)


def train(net, optimizer, epochs, draw=None):
    draw = draw or np.random.default_rng(1)
    tn.fit(net, optimizer, draw.normal(size=(20, 2)), draw.integers(0, 2, 20), epochs=epochs, batch_size=8)


@pytest.fixture
def path(tmp_path):
    """A file with a trained network and its optimizer, alone in its directory."""
    net = network()
    optimizer = tn.Adam(net)
    train(net, optimizer, epochs=2)
    tn.save(net, tmp_path / "net.npz", optimizer)
    return tmp_path / "net.npz"


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header_of(path):
    return json.loads(np.load(path)["header"].tobytes())


def with_header(path, text):
    """Replace the JSON text in the file."""
    pack(path, members(path) | {"header.npy": npy(np.frombuffer(text.encode(), np.uint8))})


def changed(path, **changes):
    """Change entries of the header in the file. New layers get the states of new layers."""
    states = [{"counter": 0, "trainable": True}] * len(changes.get("layers", ()))
    changes = ({"states": states} if states else {}) | changes
    with_header(path, json.dumps(header_of(path) | changes))


def refused(path, cause=None, open=tn.load):
    """Check that opening the file raises a ModelFileError with its name and this cause."""
    with pytest.raises(tn.ModelFileError, match=cause) as error:
        open(path)
    assert str(error.value).startswith(f"{path}: ")


# -------------------------------------------------------------------------------------- saving and loading


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "zeros"])
def test_a_network_comes_back_bit_for_bit(tmp_path, draw, dtype, init):
    net = tn.Network(
        tn.Dropout(0.3), tn.Dense(4, 3, init), tn.ReLU(), tn.Dense(3, 2), tn.Softmax(), seed=7, dtype=dtype
    )
    tn.fit(net, tn.SGD(net), draw.normal(size=(5, 4)), draw.integers(0, 2, 5), epochs=3)
    net.notes = {"data": "zéro à neuf", "best": [0.1, None, True], "deep": {"er": {}}}
    tn.save(net, tmp_path / "net.npz")
    back = tn.load(tmp_path / "net.npz")
    assert back.theta.tobytes() == net.theta.tobytes()
    assert repr(back) == repr(net)
    for name in ("seed", "dtype", "epoch", "notes"):
        assert getattr(back, name) == getattr(net, name)
    assert [layer.counter for layer in back] == [3, 0, 0, 0, 0]


SCHEDULE = tn.warm_up(tn.cosine(0.1, steps=20), steps=4)
OPTIMIZERS = {
    "Adam": (tn.Adam, {"lr": 0.02, "beta1": 0.8, "beta2": 0.98, "eps": 1e-4, "weight_decay": 0.1}),
    "Adam on a schedule": (tn.Adam, {"lr": SCHEDULE}),
    "SGD on a schedule": (tn.SGD, {"lr": SCHEDULE, "momentum": 0.5}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path, name, dtype):
    kind, options = OPTIMIZERS[name]
    straight, interrupted = network(dtype=dtype), network(dtype=dtype)
    train(straight, kind(straight, **options), epochs=4)
    optimizer = kind(interrupted, **options)
    train(interrupted, optimizer, epochs=2)
    tn.save(interrupted, tmp_path / "net.npz", optimizer)
    resumed, again = tn.resume(tmp_path / "net.npz", lr=options.get("lr"))
    assert again.config() == optimizer.config()
    assert (again.network, again.step_count) == (resumed, optimizer.step_count)
    train(resumed, again, epochs=2)
    assert resumed.theta.tobytes() == straight.theta.tobytes()


def test_resume_takes_another_rate(path):
    assert tn.resume(path)[1].lr == 0.001
    assert tn.resume(path, lr=0.5)[1].lr == 0.5


def test_settings_may_be_numpy_numbers(tmp_path):
    net = network()
    tn.save(net, tmp_path / "net.npz", tn.Adam(net, np.float32(0.25), eps=np.float32(0.5), clip_norm=np.int64(2)))
    assert tn.resume(tmp_path / "net.npz")[1].config() == tn.Adam(net, 0.25, eps=0.5, clip_norm=2).config()


def test_a_schedule_must_be_given_again(tmp_path):
    net = network()
    tn.save(net, tmp_path / "net.npz", tn.Adam(net, SCHEDULE))
    refused(tmp_path / "net.npz", "its learning rate was a schedule; pass the schedule to resume as lr=", tn.resume)
    assert tn.resume(tmp_path / "net.npz", lr=SCHEDULE)[1].rate == SCHEDULE(0)


def test_resume_needs_an_optimizer_in_the_file(tmp_path):
    tn.save(network(), tmp_path / "net.npz")
    refused(tmp_path / "net.npz", "saved without an optimizer; load reads its network", tn.resume)


@pytest.mark.parametrize(
    "form", [str, pathlib.Path, lambda path: path.with_suffix("")], ids=["str", "Path", "no suffix"]
)
def test_the_file_has_exactly_the_given_path(tmp_path, form):
    tn.save(network(), form(tmp_path / "net.npz"))
    assert [pathlib.Path(form(tmp_path / "net.npz"))] == list(tmp_path.iterdir())
    assert tn.load(form(tmp_path / "net.npz")).epoch == 0


def test_numpy_reads_the_file_without_tinynet(path):
    arrays = np.load(path, allow_pickle=False)
    assert sorted(arrays) == ["buffers", "header", "m", "theta", "v"]
    np.testing.assert_array_equal(arrays["theta"], tn.load(path).theta)


def test_an_unknown_backend_is_not_a_file_error(path):
    with pytest.raises(ValueError, match=r"^backend: expected one of"):
        tn.load(path, backend="abacus")


def test_format_1_is_read():
    net, optimizer = tn.resume(FORMAT_1)
    for k, vector in enumerate((net.theta, optimizer.m, optimizer.v)):
        np.testing.assert_array_equal(vector, (k + np.arange(26)) / 8)
    assert repr(net) == (
        "<Network Dropout(0.25), Dense(3, 4, he_normal), ReLU(), Dense(4, 2), Softmax(): 26 parameters>"
    )
    assert (net.dtype, net.seed, net.epoch, net[0].counter, optimizer.step_count) == (np.float32, 11, 5, 7, 35)
    assert net.notes == {"data": "toy", "accuracies": [0.5, 0.75]}
    assert optimizer.config() == {"lr": 0.01, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.99, "eps": 1e-6}
    assert net[1].W[2, 3] == 11 / 8
    assert net[3].b[0, 1] == 25 / 8


def test_format_2_is_read():
    net, optimizer = tn.resume(FORMAT_2, layers=[BatchNorm])
    for k, vector in enumerate((net.theta, optimizer.velocity, net.buffers)):
        np.testing.assert_array_equal(vector, (100 * k + np.arange(vector.size)) / 8)
    assert repr(net) == (
        "<Network Flatten(), Dense(4, 3, he_normal), Residual(BatchNorm(3, 0.25), LeakyReLU(0.25)), "
        "Residual(Residual(Dense(3, 2), Dropout(0.5), shortcut=Dense(3, 2, zeros)), shortcut=Dense(3, 2)), "
        "Dense(2, 2): 51 parameters>"
    )
    assert (net.dtype, net.seed, net.epoch, optimizer.step_count) == (np.float64, 11, 5, 35)
    assert net.notes == {"data": "toy", "accuracies": [0.5, 0.75]}
    assert repr(net.loss) == "SoftmaxCrossEntropy(label_smoothing=0.125)"
    settings = {"lr": 0.25, "weight_decay": 0.125, "clip_norm": 2.0, "momentum": 0.5, "nesterov": True}
    assert optimizer.config() == settings
    block, outer = net[3].layers[0], net[3].shortcut
    assert (block.trainable, block.layers[0].trainable, block.shortcut.trainable) == (False, False, False)
    assert (net[3].trainable, outer.trainable, block.layers[1].counter) == (True, True, 7)
    assert (net[2].layers[0].var[0, 2], block.shortcut.b[0, 1], outer.W[0, 0]) == (205 / 8, 36 / 8, 37 / 8)


def test_format_3_differs_from_format_2_only_in_names_of_arguments(tmp_path):
    net, optimizer = tn.resume(FORMAT_2, layers=[BatchNorm])
    tn.save(net, tmp_path / "net.npz", optimizer)
    assert header_of(tmp_path / "net.npz") == header_of(FORMAT_2) | {"version": 3}
    assert members(tmp_path / "net.npz").keys() == members(FORMAT_2).keys()


def test_format_2_with_the_old_argument_names_of_picture_layers_predicts_the_same(tmp_path):
    assert {"kernel", "size"} <= set(re.findall(r"\w+", json.dumps(header_of(FORMAT_2_PICTURES))))
    net, optimizer = tn.resume(FORMAT_2_PICTURES)
    x = np.array(net.notes["x"])
    np.testing.assert_allclose(tn.predict(net, x), net.notes["predictions"], rtol=1e-12)
    tn.save(net, tmp_path / "net.npz", optimizer)
    assert tn.predict(tn.load(tmp_path / "net.npz"), x).tobytes() == tn.predict(net, x).tobytes()


def test_own_layers_keep_the_argument_names_of_format_2(tmp_path):
    class MaxPool2D(tn.Layer):
        def __init__(self, size):
            self.side = size

        def config(self):
            return {"size": self.side}

    path = tmp_path / "net.npz"
    tn.save(tn.Network(MaxPool2D(2)), path)
    changed(path, version=2)
    assert tn.load(path, layers=[MaxPool2D])[0].side == 2


def test_format_3_has_no_old_argument_names(tmp_path):
    tn.save(tn.Network(tn.MaxPool2D(2)), tmp_path / "net.npz")
    changed(tmp_path / "net.npz", layers=[layer("MaxPool2D", size=2)])
    refused(tmp_path / "net.npz", "MaxPool2D cannot be made from .*size")


# ---------------------------------------------------------- blocks, buffers, frozen layers, and own classes

EVERYTHING = {"layers": OWN, "losses": [Power], "optimizers": [SignDescent]}


def train_blocks(optimizer, epochs=1):
    x, labels = pictures()
    loss, t = Power(p=2), np.eye(3)[labels]
    tn.fit(optimizer.network, optimizer, x, t, epochs=epochs, batch_size=8, loss=loss)


@pytest.fixture
def blocks(tmp_path):
    """A file with blocks, buffers, frozen layers, and an optimizer, a loss and layers that are not tinynet's."""
    net = own_layers.network()
    net[2].trainable = False
    optimizer = SignDescent(net, mu=0.25)
    train_blocks(optimizer)
    tn.save(net, tmp_path / "blocks.npz", optimizer)
    return tmp_path / "blocks.npz"


@pytest.mark.parametrize("kind", own_layers.OPTIMIZERS)
def test_a_resumed_run_of_blocks_is_the_run_that_was_never_interrupted(tmp_path, kind):
    net = own_layers.network(seed=3)
    net[2].trainable = False
    optimizer = own_layers.OPTIMIZERS[kind](net)
    train_blocks(optimizer, epochs=2)
    tn.save(net, tmp_path / "net.npz", optimizer)
    again, its = tn.resume(tmp_path / "net.npz", **EVERYTHING)
    assert state(again) == state(net)
    assert (type(its), its.config(), its.step_count) == (type(optimizer), optimizer.config(), 6)
    train_blocks(optimizer, epochs=2)
    train_blocks(its, epochs=2)
    assert state(again) == state(net)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_file_of_blocks_is_read_on_any_backend(blocks, backend):
    net, optimizer = tn.resume(blocks, backend=backend, **EVERYTHING)
    assert (net.backend.name, state(net)) == (backend, state(tn.load(blocks, layers=OWN, losses=[Power])))
    train_blocks(optimizer)


@pytest.mark.parametrize(
    ("left_out", "cause"),
    [
        ("layers", r"unknown layer 'Forked'; known are .*; pass your own classes as layers=\[...\]"),
        ("losses", r"unknown loss 'Power'; known are .*; pass your own classes as losses=\[...\]"),
        ("optimizers", r"unknown optimizer 'SignDescent'; known are .*; pass your own classes as optimizers=\[...\]"),
    ],
)
def test_own_classes_must_be_passed(blocks, left_out, cause):
    named = {kind: classes for kind, classes in EVERYTHING.items() if kind != left_out}
    refused(blocks, cause, lambda path: tn.resume(path, **named))


@pytest.mark.parametrize(
    "named",
    [
        {"layers": [type("Dense", (tn.Layer,), {}) for _ in range(2)]},
        {"losses": [type("Huber", (tn.Loss,), {}) for _ in range(2)]},
    ],
    ids=["layer", "loss"],
)
def test_two_classes_of_one_name_are_refused(path, named):
    with pytest.raises(ValueError, match=r"^two classes are named (Dense|Huber), .* rename one$"):
        tn.load(path, **named)


def test_an_own_class_takes_precedence_over_tinynets_of_the_same_name(tmp_path):
    """A file may be older than the class of tinynet that has the same name."""
    tn.save(tn.Network(BatchNorm(4)), tmp_path / "own.npz")
    assert type(tn.load(tmp_path / "own.npz", layers=[BatchNorm])[0]) is BatchNorm
    tn.save(tn.Network(tn.BatchNorm(4)), tmp_path / "ours.npz")
    assert type(tn.load(tmp_path / "ours.npz")[0]) is tn.BatchNorm


def test_save_refuses_two_classes_of_one_name(unchanged):
    with pytest.raises(ValueError, match=r"^two classes are named BatchNorm, "):
        tn.save(tn.Network(BatchNorm(4), type("BatchNorm", (BatchNorm,), {})(4)), unchanged)


def test_a_slice_is_saved_as_a_separate_network(blocks, tmp_path):
    net = tn.load(blocks, layers=OWN, losses=[Power])
    tn.save(net[1:3], tmp_path / "part.npz")
    part, x = tn.load(tmp_path / "part.npz", layers=OWN), pictures()[0].reshape(-1, 4)
    assert tn.outputs(part, x).tobytes() == tn.outputs(net[1:3], x).tobytes()
    assert [layer.trainable for layer in part] == [True, False]


WRONG_STATE = {
    "buffers missing": ({"buffers.npy": None}, "buffers is missing"),
    "buffers too short": ({"buffers.npy": npy(np.zeros(25, np.float32))}, r"buffers must have the shape \(26,\)"),
    "a slot missing": ({"m.npy": None}, "m is missing"),
    "a slot too long": ({"m.npy": npy(np.zeros(335, np.float32))}, r"m must have the shape \(334,\)"),
    "a slot of another optimizer": ({"v.npy": npy(np.zeros(334, np.float32))}, "v is not part of such a file"),
}


@pytest.mark.parametrize("name", WRONG_STATE)
def test_a_wrong_member_of_a_file_of_blocks_is_refused(blocks, name):
    changes, cause = WRONG_STATE[name]
    pack(blocks, {name: content for name, content in (members(blocks) | changes).items() if content is not None})
    refused(blocks, cause, lambda path: tn.resume(path, **EVERYTHING))


# ------------------------------------------------------------------------------------------ atomic writes


@pytest.fixture
def unchanged(path):
    """The file of `path`, which must be the same at the end of the test, and alone in its directory."""
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("vector", ["theta", "buffers", "m", "v"])
def test_save_refuses_numbers_that_are_not_finite(unchanged, vector):
    net = tn.Network(tn.Dense(2, 3), tn.BatchNorm(3), seed=1)
    optimizer = tn.Adam(net)
    getattr(net if vector == "buffers" else optimizer, vector)[3] = np.nan
    with pytest.raises(tn.ModelFileError, match=f"{vector} holds numbers that are not finite, and is not saved"):
        tn.save(net, unchanged, optimizer)


def loop():
    notes = {}
    notes["self"] = notes
    return notes


def abyss():
    notes = {}
    for _ in range(100_000):
        notes = {"": notes}
    return notes


@pytest.mark.parametrize(
    "notes",
    [
        {"x": np.nan},
        {"x": float("inf")},
        {"x": np.zeros(2)},
        {"x": {1, 2}},
        {"x": b"bytes"},
        {(1, 2): 3},
        loop(),
        abyss(),
    ],
    ids=["NaN", "infinity", "array", "set", "bytes", "tuple as key", "loop", "abyss"],
)
def test_save_refuses_notes_that_json_cannot_hold(unchanged, notes):
    net = network()
    net.notes = notes
    with pytest.raises(tn.ModelFileError, match="the header cannot be written as JSON: "):
        tn.save(net, unchanged)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "interrupt"]
)
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file_and_no_other(unchanged, monkeypatch, step, error):
    def fail(*arguments, **options):
        if step == "write":
            arguments[0].write(b"half of it")
        raise error

    monkeypatch.setattr(*{"write": (np, "savez"), "fsync": (os, "fsync"), "replace": (os, "replace")}[step], fail)
    with pytest.raises(tn.ModelFileError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        tn.save(network(seed=1), unchanged)
    monkeypatch.undo()
    if isinstance(error, OSError):
        assert str(caught.value) == f"{unchanged}: cannot be written: No space left on device"


def test_save_says_where_it_cannot_write(tmp_path):
    refused(tmp_path / "nowhere" / "net.npz", "cannot be written: No such file", lambda path: tn.save(network(), path))
    (tmp_path / "directory").mkdir()
    refused(tmp_path / "directory", "cannot be written: Is a directory", lambda path: tn.save(network(), path))
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


@pytest.mark.parametrize("name", ["", ".", "a\0b"])
@pytest.mark.parametrize(
    "use", [tn.load, tn.resume, lambda name: tn.save(network(), name)], ids=["load", "resume", "save"]
)
def test_a_name_that_no_file_can_have_is_refused(use, name):
    with pytest.raises(tn.ModelFileError):
        use(name)


def test_save_refuses_the_optimizer_of_another_network(unchanged):
    with pytest.raises(ValueError, match="optimizer"):
        tn.save(network(), unchanged, tn.Adam(network()))


# ------------------------------------------------------------------------------------- files without a network


NO_ARCHIVES = {
    "empty": (b"", "not an .npz file, or damaged"),
    "text": (b"W, b\n1.0, 2.0\n" * 100, "not an .npz file, or damaged"),
    "an .npy": (npy(np.arange(100.0)), "not an .npz file, or damaged"),
    "only the end of an archive": (b"PK\5\6" + 18 * b"\0", "header is missing"),
}


@pytest.mark.parametrize("name", NO_ARCHIVES)
def test_another_kind_of_file_is_refused(tmp_path, name):
    content, cause = NO_ARCHIVES[name]
    (tmp_path / "net.npz").write_bytes(content)
    refused(tmp_path / "net.npz", cause)


def test_an_archive_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    refused(tmp_path / "foreign.npz", "header is missing")
    np.savez(tmp_path / "foreign.npz", header=np.frombuffer(b'{"a": 1}', np.uint8))
    refused(tmp_path / "foreign.npz", "not a tinynet network")


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path / "net.npz", "cannot be read: No such file or directory")
    refused(tmp_path, "cannot be read: Is a directory")


def test_a_file_that_may_not_be_read_is_refused(path, monkeypatch):
    def deny(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", deny)
    monkeypatch.setattr(io, "open", deny)
    refused(path, "cannot be read: Permission denied")


def test_a_flipped_bit_in_theta_is_noticed(path):
    content = path.read_bytes()
    position = content.index(tn.load(path).theta.tobytes()) + 10
    path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
    refused(path, "damaged")


def test_compressed_members_are_refused(path):
    pack(path, members(path), zipfile.ZIP_DEFLATED)
    refused(path, "header is compressed")


WRONG_MEMBERS = {
    "theta missing": ({"theta.npy": None}, "theta is missing"),
    "theta too short": (
        {"theta.npy": npy(np.zeros(16, np.float32))},
        r"theta must have the shape \(17,\).*has \(16,\)",
    ),
    "theta a column": ({"theta.npy": npy(np.zeros((17, 1), np.float32))}, r"theta must have the shape \(17,\)"),
    "theta of another dtype": ({"theta.npy": npy(np.zeros(17))}, "theta must be float32, is float64"),
    "theta of another byte order": ({"theta.npy": npy(np.zeros(17, ">f4"))}, "theta must be float32, is >f4"),
    "theta with a NaN": (
        {"theta.npy": npy(np.full(17, np.nan, np.float32))},
        "theta holds numbers that are not finite",
    ),
    "theta no array": ({"theta.npy": b"seventeen numbers"}, "theta is not an array"),
    "theta empty": ({"theta.npy": b""}, "theta is not an array"),
    "theta cut off": ({"theta.npy": npy(np.zeros(17, np.float32))[:-1]}, "theta is 67 bytes"),
    "theta too long": ({"theta.npy": npy(np.zeros(17, np.float32)) + b"\0"}, "theta is 69 bytes"),
    "header no bytes": ({"header.npy": npy(np.zeros(5))}, "header must be uint8, is float64"),
    "header no JSON": ({"header.npy": npy(np.frombuffer(b"{'a': 1}", np.uint8))}, "its header is not JSON"),
    "header no text": ({"header.npy": npy(np.arange(128, 255, dtype=np.uint8))}, "its header is not JSON"),
    "moment too short": ({"m.npy": npy(np.zeros(16, np.float32))}, r"m must have the shape \(17,\)"),
    "moment with an infinity": ({"v.npy": npy(np.full(17, np.inf, np.float32))}, "v holds numbers that are not finite"),
    "another array": ({"w.npy": npy(np.zeros(17, np.float32))}, r"\bw\b"),
    "another file": ({"readme.txt": b"read me"}, "readme"),
}


@pytest.mark.parametrize("name", WRONG_MEMBERS)
def test_a_wrong_member_is_refused(path, name):
    changes, cause = WRONG_MEMBERS[name]
    pack(path, {name: content for name, content in (members(path) | changes).items() if content is not None})
    refused(path, cause)


@pytest.mark.parametrize("member", ["header", "theta", "m"])
def test_a_member_that_occurs_twice_is_refused(path, member):
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"{member}.npy", members(path)[f"{member}.npy"])
    refused(path, member)


@pytest.mark.parametrize("slot", ["m.npy", "v.npy"])
def test_resume_needs_every_vector_of_the_optimizer(path, slot):
    pack(path, {name: content for name, content in members(path).items() if name != slot})
    refused(path, f"{slot[0]} is missing", tn.resume)


def layer(name, **config):
    """A layer as a header describes it."""
    return {"layer": name, "config": config}


DENSE = {"inputs": 2, "outputs": 3}
WRONG_HEADERS = {
    "later version": ({"version": 4}, "its format is version 4; this version of tinynet reads 1 to 3"),
    "no version": ({"version": None}, "its format is version None"),
    "other format": ({"format": "other"}, "not a tinynet network"),
    "no layer": ({"layers": [], "states": []}, r"must have the shape \(0,\) for these layers"),
    "layers no list": ({"layers": "Dense"}, "layers must be list, is 'Dense'"),
    "layer no object": (
        {"layers": ["Dense"]},
        r"a layer must be an object with the entries layer and config, is \['Dense'\]",
    ),
    "layer without a name": (
        {"layers": [{}]},
        r"a layer must be an object with the entries layer and config, is \[{}\]",
    ),
    "config a list": ({"layers": [{"layer": "ReLU", "config": []}]}, r"a layer's config must be dict, is \[\]"),
    "layer named by a list": ({"layers": [layer(["Dense"])]}, "unknown layer"),
    "layer unknown": ({"layers": [layer("Conv")]}, "unknown layer 'Conv'; known are GELU, LeakyReLU, .*Dense, Dropout"),
    "argument unknown": ({"layers": [layer("Dense", **DENSE, units=3)]}, "Dense cannot be made from .*units"),
    "argument missing": ({"layers": [layer("Dense", inputs=2)]}, "Dense cannot be made from .*outputs"),
    "width zero": (
        {"layers": [layer("Dense", inputs=2, outputs=0)]},
        "takes two whole numbers of at least 1; got 2 and 0",
    ),
    "width a word": ({"layers": [layer("Dense", inputs=2, outputs="3")]}, "got 2 and '3'"),
    "rate two": ({"layers": [layer("Dropout", rate=2)]}, "a rate of at least 0 and below 1; got 2"),
    "counter below zero": (
        {"layers": [layer("Dropout", rate=0.5)], "states": [{"counter": -1, "trainable": True}]},
        r"Dropout\(0.5\)'s counter must be at least 0, is -1",
    ),
    "trainable a number": (
        {"layers": [layer("ReLU")], "states": [{"counter": 0, "trainable": 1}]},
        r"ReLU\(\)'s trainable must be bool, is 1",
    ),
    "a state too few": ({"layers": [layer("ReLU")], "states": []}, "it has 0 states for 1 layers"),
    "init unknown": ({"layers": [layer("Dense", **DENSE, init="wild")]}, "got 'wild'"),
    "init a list": ({"layers": [layer("Dense", **DENSE, init=[])]}, "Dense cannot be made from"),
    "other widths": ({"layers": [layer("Dense", **DENSE)]}, r"must have the shape \(9,\) for these layers"),
    "widths that do not meet": (
        {"layers": [layer("Dense", **DENSE), layer("Dense", inputs=1, outputs=4)]},
        r"takes x \(N, 1\), but gets \(N, 3\)",
    ),
    "dtype float16": ({"dtype": "float16"}, "dtype must be a float, is 'float16'"),
    "dtype a number": ({"dtype": 32}, "dtype must be str, is 32"),
    "seed below zero": ({"seed": -1}, "as seed; got -1"),
    "seed a fraction": ({"seed": 0.5}, "seed must be int, is 0.5"),
    "epoch below zero": ({"epoch": -1}, "epoch"),
    "epoch a truth value": ({"epoch": True}, "epoch must be int, is True"),
    "notes a list": ({"notes": []}, r"notes must be dict, is \[\]"),
}


@pytest.mark.parametrize("name", WRONG_HEADERS)
def test_a_wrong_header_is_refused(path, name):
    changes, cause = WRONG_HEADERS[name]
    changed(path, **changes)
    refused(path, cause)


WRONG_BLOCKS = {
    "unknown inside": ([layer("Conv")], {}, "unknown layer 'Conv'"),
    "no layers": ([], {}, "Residual cannot be made from .*: Residual takes layers, one or more"),
    "layers missing": (None, {}, "Residual cannot be made from its config {}: 'layers'"),
    "layers a word": ("Dense", {}, "Residual cannot be made from .*Residual takes layers"),
    "a number inside": ([3], {}, "Residual cannot be made from .*Residual takes layers"),
    "shortcut a word": ([layer("ReLU")], {"shortcut": "x"}, "Residual cannot be made from .*Residual takes layers"),
    "an argument too many": ([layer("ReLU")], {"width": 3}, "Residual cannot be made from .*'width'"),
    "config inside a list": ([{"layer": "ReLU", "config": []}], {}, r"a layer's config must be dict, is \[\]"),
    "a state too few": ([layer("ReLU"), layer("ReLU")], {}, "it has 2 states for 3 layers"),
    "a sum that cannot be": (
        [layer("Dense", inputs=16, outputs=1)],
        {},
        r"Residual\(Dense\(16, 1\)\) adds \(N, 1\) to \(N, 16\); it takes a shortcut, as shortcut=Dense",
    ),
}


@pytest.mark.parametrize("name", WRONG_BLOCKS)
def test_a_wrong_block_is_refused(path, name):
    inside, options, cause = WRONG_BLOCKS[name]
    config = options if inside is None else {"layers": inside} | options
    changed(path, layers=[layer("Residual", **config)], states=[{"counter": 0, "trainable": True}] * 2)
    refused(path, cause)


ADAM = {"optimizer": "Adam", "config": {"lr": 1}, "t": 0, "slots": ["m", "v"]}
WRONG_OPTIMIZERS = {
    "a number": (5, "optimizer"),
    "a list": (["Adam"], "optimizer"),
    "unknown": (ADAM | {"optimizer": "LBFGS"}, "unknown optimizer 'LBFGS'"),
    "named by a list": (ADAM | {"optimizer": ["Adam"]}, "its optimizer's optimizer must be str, is"),
    "config a list": (ADAM | {"config": [1]}, "optimizer"),
    "argument unknown": (ADAM | {"config": {"lr": 1, "rho": 2}}, "Adam cannot be made from .*rho"),
    "rate a word": (ADAM | {"config": {"lr": "fast"}}, "Adam cannot be made from .*lr above 0"),
    "no steps": (ADAM | {"t": None}, "t must be int, is None"),
    "steps below zero": (ADAM | {"t": -1}, "optimizer"),
    "more steps than can be": (ADAM | {"t": 10**400}, "t must be"),
    "other vectors": (ADAM | {"optimizer": "SGD"}, "velocity is missing"),
}


@pytest.mark.parametrize("name", WRONG_OPTIMIZERS)
def test_a_wrong_optimizer_is_refused(path, name):
    saved, cause = WRONG_OPTIMIZERS[name]
    changed(path, optimizer=saved)
    refused(path, cause, tn.resume)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", pytest.param("9" * 5000, id="5000 digits")])
@pytest.mark.parametrize("entry", ['"t": 6', '"lr": 0.001', '"rate": 0.1', '"epoch": 2', '"inputs": 2'])
def test_a_number_that_is_not_finite_is_refused(path, entry, number):
    text = json.dumps(header_of(path))
    assert entry in text
    with_header(path, text.replace(entry, f"{entry.partition(':')[0]}: {number}"))
    refused(path, open=tn.resume)


# ------------------------------------------------------------------------------------------ hostile files


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize("member", ["header.npy", "theta.npy", "m.npy"])
def test_a_pickle_in_the_file_is_not_run(path, member):
    crater = path.with_name("crater")
    pack(path, members(path) | {member: npy(np.array([Bomb(crater)] * 17))})
    refused(path, "must be .* is object")
    assert not crater.exists()


def claim(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(68)


BOMBS = {
    "a layer of 10^18 numbers": lambda path: changed(path, layers=[layer("Dense", inputs=10**9, outputs=10**9)]),
    "a layer of 10^8000 numbers": lambda path: changed(
        path, layers=[layer("Dense", inputs=10**4000, outputs=10**4000)]
    ),
    "an array of 10^12 numbers": lambda path: pack(path, members(path) | {"theta.npy": claim((10**12,))}),
    "a header of 10^12 bytes": lambda path: pack(
        path, members(path) | {"header.npy": claim((10**12,)).replace(b"<f4", b"|u1")}
    ),
    "a shape below zero": lambda path: pack(path, members(path) | {"theta.npy": claim((-17,))}),
    "megabytes of zeros, compressed": lambda path: pack(
        path, members(path) | {"w.npy": npy(np.zeros(10**7, np.float32))}, zipfile.ZIP_DEFLATED
    ),
    "a member that claims 4 GB": lambda path: path.write_bytes(
        path.read_bytes().replace((68 + 128).to_bytes(4, "little"), (2**32 - 2).to_bytes(4, "little"))
    ),
    "brackets 100,000 deep": lambda path: with_header(path, "[" * 100_000),
    "brackets 900 deep": lambda path: with_header(
        path, json.dumps(header_of(path)).replace('"epoch": 2', '"epoch": ' + "[" * 900 + "]" * 900)
    ),
    "parentheses in the shape": lambda path: pack(
        path, members(path) | {"theta.npy": claim((17,)).replace(b"(17,), }" + 40 * b" ", b"(" * 48)}
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_false_sizes_allocate_no_memory(path, name):
    BOMBS[name](path)
    tracemalloc.start()
    try:
        refused(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000


def test_damaged_and_forged_files_load_correctly_or_are_refused():
    """For more files, run `python tests/fuzz.py`."""
    found = fuzz.run(1000, seed=20260101)
    assert min(found["loaded"], found["refused"]) > 50


# ------------------------------------------------------------------- networks that could not be loaded again


def test_save_refuses_a_replaced_parameter(tmp_path):
    net = network()
    net[1].b = np.ones((1, 3), np.float32)
    with pytest.raises(ValueError, match=r"\.b was replaced"):
        tn.save(net, tmp_path / "net.npz")


def keyed():
    """Return a layer whose config has a dictionary with integer keys."""
    return Forked(tn.Dense(4, 4), [], {0: tn.Dense(4, 2), 1: tn.Dense(4, 2)})


class Silent(tn.Layer):
    """Its config leaves out an argument."""

    def __init__(self, start):
        self.start = start


class Turned(tn.Layer):
    """Its config exchanges D and M, which gives as many parameters in another shape."""

    def __init__(self, D, M):
        self.D, self.M = D, M

    def config(self):
        return {"D": self.M, "M": self.D}

    def shapes(self):
        return {"W": (self.D, self.M)}


def extended():
    """Return a block that got another layer after it was made."""
    block = tn.Residual(tn.Dense(4, 4))
    block.late = tn.Dense(4, 4)
    return block


OTHERS = "the layers made from config() differ in their shapes or in the layers inside them"
UNSAVABLE = {
    "an argument missing": (lambda: Silent(2.0), "Silent cannot be made from its config {}: "),
    "integers as keys": (
        keyed,
        "dictionaries in a config must have strings as keys, because JSON has no others; got {0: ",
    ),
    "other shapes": (lambda: Turned(4, 3), OTHERS),
    "a layer too many": (extended, OTHERS),
    "an array in config": (
        lambda: type("Own", (tn.LeakyReLU,), {"config": lambda self: {"slope": np.zeros(())}})(),
        "the header cannot be written as JSON: Object of type ndarray is not JSON serializable",
    ),
}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("name", UNSAVABLE)
def test_save_refuses_a_layer_that_would_be_loaded_differently(unchanged, name, inside):
    make, cause = UNSAVABLE[name]
    made = Forked(make(), [], {"head": tn.ReLU()}) if inside else make()
    with pytest.raises(tn.ModelFileError, match=re.escape(cause)):
        tn.save(tn.Network(made), unchanged)


def test_save_refuses_a_counter_below_zero(unchanged):
    net = network()
    net[0].counter = -1
    refused(unchanged, r"Dropout\(0.1\)'s counter must be at least 0, is -1", lambda path: tn.save(net, path))


@pytest.mark.parametrize("slots", [("buffers",), ("header",), ("m", "file")], ids=str)
def test_save_refuses_slots_with_reserved_names(unchanged, slots):
    net = network()
    optimizer = type("Mine", (SignDescent,), {"slots": slots})(net)
    refused(unchanged, r"Mine has slots \[.*\], which are reserved names", lambda path: tn.save(net, path, optimizer))


def test_save_refuses_an_optimizer_or_a_loss_that_its_config_does_not_make(unchanged):
    net = network()
    cause, config = "Mine cannot be made from its config {'speed': 1}: ", {"config": lambda self: {"speed": 1}}
    optimizer = type("Mine", (SignDescent,), config)(net)
    refused(unchanged, cause, lambda path: tn.save(net, path, optimizer))
    net.loss = type("Mine", (Power,), config)()
    refused(unchanged, cause, lambda path: tn.save(net, path))


@pytest.mark.parametrize("depth", [50, 5000])
def test_blocks_in_blocks_in_blocks_load_or_are_refused(path, depth):
    text = '{"layer": "Residual", "config": {"layers": [' * depth + '{"layer": "ReLU", "config": {}}' + "]}}" * depth
    states = json.dumps([{"counter": 0, "trainable": True}] * (depth + 1))
    header = json.dumps(header_of(path) | {"layers": "LAYERS", "states": "STATES", "optimizer": {}})
    with_header(path, header.replace('"LAYERS"', f"[{text}]").replace('"STATES"', states))
    pack(
        path,
        {"header.npy": members(path)["header.npy"]}
        | {f"{name}.npy": npy(np.zeros(0, np.float32)) for name in ("theta", "buffers")},
    )
    if depth == 50:
        assert tn.load(path).output_shape((3,)) == (3,)
    else:
        refused(path)
