"""Reading and writing .safetensors, also PyTorch's, bit for bit, with all claims of a file checked."""

import json
import pathlib
import struct

import fuzz
import numpy as np
import own_layers
import pytest
from own_layers import OWN, Power
from safetensors.numpy import load_file, save_file

import tinynet as tn

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
TORCH = json.loads((FIXTURES / "torch_safetensors.json").read_text())


def trained(dtype="float32"):
    net = tn.Network(
        tn.Flatten(),
        tn.Dropout(0.1),
        tn.Dense(4, 3),
        tn.GELU(),
        tn.Residual(tn.Dense(3, 2), tn.LeakyReLU(0.2), shortcut=tn.Dense(3, 2)),
        tn.Dense(2, 1),
        seed=5,
        dtype=dtype,
    )
    draw = np.random.default_rng(1)
    tn.fit(
        net,
        tn.Adam(net),
        draw.normal(size=(20, 1, 2, 2)),
        draw.integers(0, 2, 20),
        epochs=2,
        loss=tn.BinaryCrossEntropy(),
    )
    net[2].trainable = False
    net.notes = {"é": [1, None]}
    return net


def refused(path, cause, **options):
    with pytest.raises(tn.ModelFileError, match=cause) as error:
        tn.from_safetensors(path, **options)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_bit_for_bit(tmp_path, dtype):
    net = trained(dtype)
    tn.to_safetensors(net, tmp_path / "net.safetensors")
    back = tn.from_safetensors(tmp_path / "net.safetensors")
    assert back.theta.tobytes() == net.theta.tobytes()
    for name in ("seed", "dtype", "epoch", "notes"):
        assert getattr(back, name) == getattr(net, name)
    assert repr(back) == repr(net)
    assert repr(back.loss) == "BinaryCrossEntropy()"
    assert [layer.counter for layer in back] == [0, 2, 0, 0, 0, 0]
    assert [layer.trainable for layer in back][:3] == [True, True, False]


def test_tensors_have_pytorchs_names_and_shapes(tmp_path):
    net = trained()
    tn.to_safetensors(net, tmp_path / "net.safetensors")
    found = load_file(tmp_path / "net.safetensors")
    assert {name: value.shape for name, value in found.items()} == {
        "2.weight": (3, 4),
        "2.bias": (3,),
        "4.0.weight": (2, 3),
        "4.0.bias": (2,),
        "4.2.weight": (2, 3),
        "4.2.bias": (2,),
        "5.weight": (1, 2),
        "5.bias": (1,),
    }
    np.testing.assert_array_equal(found["2.weight"], net[2].W.T)


def test_buffers_and_layers_of_ones_own_come_back(tmp_path):
    net = own_layers.network()
    net.buffers[...] = np.arange(net.buffers.size)
    net.loss = Power(p=2)
    tn.to_safetensors(net, tmp_path / "net.safetensors")
    refused(tmp_path / "net.safetensors", "unknown layer")
    back = tn.from_safetensors(tmp_path / "net.safetensors", layers=OWN, losses=[Power])
    assert back.theta.tobytes() == net.theta.tobytes()
    assert back.buffers.tobytes() == net.buffers.tobytes()


def sequential():
    return [tn.Dropout(0.1), tn.Dense(6, 5), tn.ReLU(), tn.Dense(5, 5), tn.ReLU(), tn.Dense(5, 3)]


def named():
    hidden = [layer for _ in range(11) for layer in (tn.Dense(5, 5), tn.Tanh())]
    return [tn.Dense(6, 5), tn.ReLU(), *hidden, tn.Dense(5, 3)]


def convolutional():
    block = [[tn.Conv2D(4, 4, 3, stride, 1), tn.BatchNorm(4), tn.ReLU()] for stride in (1, 2)]
    stem = [tn.Conv2D(2, 4, 3, padding=1), tn.ReLU(), tn.MaxPool2D(2)]
    return [*stem, *block[0], *block[1], tn.GlobalAveragePool(), tn.LayerNorm(4), tn.Dense(4, 3)]


def convolutions():
    first = [tn.Conv2D(2, 3, 3, 2), tn.BatchNorm(3), tn.ReLU(), tn.Flatten()]
    return [*first, tn.Dense(18, 4), tn.BatchNorm(4), tn.Dense(4, 3)]


STACKS = {"sequential": sequential, "double": sequential, "named": named}
STACKS |= {"convolutional": convolutional, "convolutions": convolutions}


@pytest.mark.parametrize("name", STACKS)
def test_a_state_dict_gives_what_pytorch_gives_and_comes_back_bit_for_bit(tmp_path, name):
    net = tn.from_safetensors(FIXTURES / f"torch-{name}.safetensors", layers=STACKS[name]())
    assert net.dtype == ("float64" if name == "double" else "float32")
    x = np.array(TORCH["pictures" if "conv" in name else "x"])
    np.testing.assert_allclose(tn.outputs(net, x), TORCH[name], rtol=0, atol=1e-6)
    assert all(layer.mean.all() for layer in net if isinstance(layer, tn.BatchNorm))
    tn.to_safetensors(net, tmp_path / "net.safetensors")
    for options in ({}, {"layers": STACKS[name]()}):
        back = tn.from_safetensors(tmp_path / "net.safetensors", **options)
        assert back.theta.tobytes() == net.theta.tobytes()
        assert back.buffers.tobytes() == net.buffers.tobytes()


def test_pictures_tensors_have_pytorchs_names_and_shapes(tmp_path):
    tn.to_safetensors(tn.Network(*convolutions(), tn.LayerNorm(3)), tmp_path / "net.safetensors")
    ours, theirs = load_file(tmp_path / "net.safetensors"), load_file(FIXTURES / "torch-convolutions.safetensors")
    shapes = {name: value.shape for name, value in theirs.items() if not name.endswith("num_batches_tracked")}
    assert {name: value.shape for name, value in ours.items()} == {**shapes, "7.weight": (3,), "7.bias": (3,)}


def test_layers_of_one_shape_are_told_apart_by_what_stands_beside_their_weights(tmp_path):
    ones = np.ones(3, np.float32)
    tensors = {f"a.{name}": k * ones for k, name in enumerate(("weight", "bias", "running_mean", "running_var"), 1)}
    tensors |= {"b.weight": 5 * ones, "b.bias": 6 * ones}
    save_file(tensors, tmp_path / "net.safetensors")
    net = tn.from_safetensors(tmp_path / "net.safetensors", layers=[tn.LayerNorm(3), tn.BatchNorm(3)])
    assert [net[0].gamma[0, 0], net[0].beta[0, 0]] == [5, 6]
    assert [view[0] for view in (net[1].gamma, net[1].beta, net[1].mean, net[1].variance)] == [1, 2, 3, 4]
    del tensors["a.running_var"]
    save_file(tensors, tmp_path / "net.safetensors")
    cause = r"a.running_var is missing, \(3,\) for BatchNorm\(3\)"
    refused(tmp_path / "net.safetensors", cause, layers=[tn.LayerNorm(3), tn.BatchNorm(3)])


class Lopsided(tn.Layer):
    """A layer that is not tinynet's, with a matrix that is not square."""

    def forward(self, x, train=False):
        return x @ self.W

    def shapes(self):
        return {"W": (2, 3)}


def test_a_matrix_of_ones_own_is_not_transposed(tmp_path):
    net = tn.Network(Lopsided())
    net.theta[...] = np.arange(6)
    tn.to_safetensors(net, tmp_path / "net.safetensors")
    back = tn.from_safetensors(tmp_path / "net.safetensors", layers=[Lopsided])
    assert back[0].W.tolist() == net[0].W.tolist() == load_file(tmp_path / "net.safetensors")["0.W"].tolist()


def test_layers_are_told_by_shape_and_those_alike_by_number(tmp_path):
    draw = np.random.default_rng(1)
    tensors = {
        "b.out.weight": draw.normal(size=(2, 3)),
        "a9.weight": np.full((3, 3), 9.0),
        "a10.weight": np.ones((3, 3)),
    }
    save_file(tensors, tmp_path / "net.safetensors")
    stack = [tn.Dense(3, 3), tn.ReLU(), tn.Dense(3, 3), tn.ReLU(), tn.Dense(3, 2)]
    net = tn.from_safetensors(tmp_path / "net.safetensors", layers=stack)
    assert (net[0].W[0, 0], net[2].W[0, 0]) == (9, 1)
    np.testing.assert_array_equal(net[4].W, tensors["b.out.weight"].T)
    assert not net[0].b.any()


REFUSED = {
    "no layers": (
        {"a.weight": (2, 3)},
        (),
        r"names no layers; pass them, such as layers=\[.*\], for a.weight \(2, 3\)",
    ),
    "another shape": (
        {"a.weight": (2, 3)},
        [tn.Dense, (4, 2)],
        r"must hold a weight of shape \(2, 4\) for Dense\(4, 2\), and holds a.weight \(2, 3\)",
    ),
    "another shape in its place": (
        {"0.weight": (2, 3), "0.bias": (2,)},
        [tn.Dense, (4, 2)],
        r"0.weight must be \(2, 4\) for Dense\(4, 2\), is \(2, 3\)",
    ),
    "a bias of another length": ({"0.weight": (2, 3), "0.bias": (3,)}, [tn.Dense, (3, 2)], r"0.bias must be \(2,\)"),
    "no place": (
        {"a.weight": (2, 3), "norm.weight": (2,)},
        [tn.Dense, (3, 2)],
        r"these layers do not have norm.weight \(2,\)",
    ),
    "nothing to order by": (
        {"a.weight": (3, 3), "b.weight": (3, 3)},
        [tn.Dense, (3, 3), tn.Dense, (3, 3)],
        "a.weight, b.weight have one shape and no numbers to order them by",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_numbers_that_do_not_fit_are_refused(tmp_path, name):
    shapes, stack, cause = REFUSED[name]
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, tmp_path / "net.safetensors")
    layers = [kind(*widths) for kind, widths in zip(stack[::2], stack[1::2], strict=True)]
    refused(tmp_path / "net.safetensors", cause, layers=layers)


def test_a_stack_that_does_not_fit_itself_is_no_fault_of_the_file():
    with pytest.raises(ValueError, match=r"^Dense\(4, 2\)"):
        tn.from_safetensors("net.safetensors", layers=[tn.Dense(3, 2), tn.Dense(4, 2)])


def test_layers_of_ones_own_must_be_named_by_place(tmp_path):
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "net.safetensors")
    refused(tmp_path / "net.safetensors", "it must hold 0.gamma, .* and holds a", layers=[own_layers.BatchNorm(3)])


def test_whole_numbers_and_infinities_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"0.weight": np.zeros((2, 3), np.int32)}, path)
    refused(path, "it holds I32; supported are floats of 16 to 64 bits", layers=[tn.Dense(3, 2)])
    save_file({"0.weight": np.full((2, 3), np.inf, np.float32)}, path)
    refused(path, "0.weight holds numbers that are not finite", layers=[tn.Dense(3, 2)])


def test_half_precision_becomes_single(tmp_path):
    save_file({"0.weight": np.full((2, 3), 1 / 3, np.float16)}, tmp_path / "net.safetensors")
    net = tn.from_safetensors(tmp_path / "net.safetensors", layers=[tn.Dense(3, 2)])
    assert (net.dtype, net[0].W[0, 0]) == (np.float32, np.float16(1 / 3))


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    refused(path, "No such file")
    path.write_bytes(b"PK\3\4")
    refused(path, "not a .safetensors file, or damaged")
    header = json.dumps({"0.weight": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
    refused(path, "not a .safetensors file, or damaged")


def test_a_file_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({}, path, {"tinynet": json.dumps({"format": "tinynet network", "version": 4})})
    refused(path, "its format is version 4")


def test_a_claim_of_layers_that_the_numbers_do_not_bear_costs_no_memory(tmp_path):
    net = tn.mlp(4, [3], 2)
    tn.to_safetensors(net, tmp_path / "net.safetensors")
    content = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "net.safetensors").write_bytes(content.replace(rb"\"inputs\": 4", rb"\"inputs\":9e9"[:12]))
    with pytest.raises(tn.ModelFileError):
        tn.from_safetensors(tmp_path / "net.safetensors")


def test_what_is_not_finite_is_not_written(tmp_path):
    net = tn.mlp(2, [], 2)
    net.theta[0] = np.nan
    with pytest.raises(tn.ModelFileError, match=r"net.safetensors: 0.weight holds numbers that are not finite"):
        tn.to_safetensors(net, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_damaged_files_load_correctly_or_are_refused():
    """For more files, run `python tests/fuzz.py --kind safetensors`."""
    found = fuzz.run(1000, seed=20260101, kind="safetensors")
    assert min(found["loaded"], found["refused"]) > 50


def test_metadata_of_format_2_are_read(tmp_path):
    old = FIXTURES / "format-2-pictures.npz"
    header, net = np.load(old)["header"].tobytes().decode(), tn.load(old)
    tn.to_safetensors(net, tmp_path / "net.safetensors")
    save_file(load_file(tmp_path / "net.safetensors"), tmp_path / "old.safetensors", {"tinynet": header})
    back = tn.from_safetensors(tmp_path / "old.safetensors")
    assert repr(back) == repr(net)
    assert back.theta.tobytes() == net.theta.tobytes()
