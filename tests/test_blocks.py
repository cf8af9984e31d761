"""State, blocks, shapes, frozen layers and parts of networks: what holds all the way down."""

from __future__ import annotations

import copy
import pickle
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from own_layers import OPTIMIZERS, OWN, PARTS, BatchNorm, Forked, SignDescent, network, pictures, state, train, trained

import tinynet as tn
from tinynet.arrays.backend import FUNCTIONS
from tinynet.layers.bound import walk

X, LABELS = pictures()
ROWS = X.reshape(len(X), 4)
each_optimizer = pytest.mark.parametrize("kind", OPTIMIZERS)


def layer_of(net: tn.Network, name: str) -> tn.Layer:
    return next(layer for _, place, layer in walk(net.layers) if place == name)


def saved_and_loaded(net, folder):
    tn.save(net, folder / "net.npz")
    return tn.load(folder / "net.npz", layers=OWN)


def saved_and_resumed(net, folder):
    tn.save(net, folder / "net.npz", SignDescent(net))
    return tn.resume(folder / "net.npz", layers=OWN, optimizers=[SignDescent])[0]


LIVES = {
    "saved and loaded": saved_and_loaded,
    "saved and resumed": saved_and_resumed,
    "copied": lambda net, folder: net.copy(),
    "copy.copy": lambda net, folder: copy.copy(net),
    "copy.deepcopy": lambda net, folder: copy.deepcopy(net),
    "there and back in float64": lambda net, folder: net.copy(dtype="float64").copy(dtype="float32"),
    "made of its copies": lambda net, folder: like(net, tn.Network(net, seed=net.seed)),
}
after_any_life = pytest.mark.parametrize("live", LIVES.values(), ids=LIVES)


def like(net, other):
    """The other network, with what copies of layers do not bring along."""
    other.epoch, other.loss, other.notes = copy.deepcopy((net.epoch, net.loss, net.notes))
    return other


# ----------------------------------------------------------------------------------------------------- buffers


def test_a_layer_with_buffers_passes_the_gradient_check():
    assert tn.gradient_check_layer(BatchNorm(4), ROWS)
    assert tn.gradient_check(tn.Network(tn.Dense(4, 5), tn.Tanh(), BatchNorm(5), tn.Dense(5, 3)), ROWS, LABELS)


def test_a_gradient_check_sees_the_same_buffers_in_every_pass():
    class Drifting(BatchNorm):
        """What it gives in training depends on its buffers, which every training pass moves."""

        def forward(self, x, train=False):
            y = x * (1 + self.mean)
            self.memory = x if train else None
            self.mean[...] += 1 if train else 0
            return y * self.gamma + self.beta

        def backward(self, dy):
            self.dgamma[...] = (dy * self.recall()).sum(axis=0)
            self.dbeta[...] = dy.sum(axis=0)
            return dy * self.gamma

    assert tn.gradient_check_layer(Drifting(4), ROWS)
    assert tn.gradient_check(tn.Network(tn.Residual(Drifting(4))), ROWS, LABELS)


def test_buffers_start_at_what_initial_says_and_follow_the_batches():
    net = tn.Network(BatchNorm(4, momentum=0.5))
    layer = net[0]
    assert (layer.mean.tolist(), layer.var.tolist()) == ([[0] * 4], [[1] * 4])
    y = net.forward(ROWS, train=True)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(layer.mean[0], 0.5 * ROWS.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.var[0], 0.5 + 0.5 * ROWS.var(axis=0), rtol=1e-5)
    expected = (ROWS - layer.mean) / np.sqrt(layer.var + 1e-5)
    np.testing.assert_allclose(net.forward(ROWS), expected, rtol=1e-5, atol=1e-6)


def test_buffers_are_views_into_one_vector_in_the_order_of_the_layers():
    net = network()
    net.buffers[...] = np.arange(26)
    inner, outer = layer_of(net, "1 Forked / 2 BatchNorm(8, 0.25)"), net[4]
    assert np.concatenate([inner.mean, inner.var, outer.mean, outer.var], axis=1).tolist() == [list(range(26))]


def test_only_training_moves_buffers():
    net, _ = trained()
    before = net.buffers.copy()
    tn.evaluate(net, X, LABELS)
    tn.predict(net, X)
    net.activations(X)
    net.summary()
    tn.gradient_check(net, X, LABELS)
    tn.compare_backends(net, X, LABELS, "numpy", "numpy")
    assert np.array_equal(net.buffers, before)
    assert not np.array_equal(before, network().buffers)


@each_optimizer
def test_optimizers_leave_buffers_alone(kind):
    net, optimizer = trained(kind)
    buffers, theta = net.buffers.copy(), net.theta.copy()
    optimizer.step()
    assert np.array_equal(net.buffers, buffers)
    assert not np.array_equal(net.theta, theta)


def test_early_stopping_brings_the_best_epochs_buffers_back():
    net, seen = network(), []
    history = tn.fit(
        net,
        tn.SGD(net, lr=2.0),
        X,
        LABELS,
        epochs=30,
        batch_size=8,
        validation=(X[::-1], LABELS),
        patience=3,
        callbacks=[lambda record: seen.append((record.val_loss, net.theta.tobytes(), net.buffers.tobytes()))],
    )
    assert history.stopped
    assert (net.theta.tobytes(), net.buffers.tobytes()) == min(seen)[1:] != seen[-1][1:]


@after_any_life
def test_what_was_learned_lives_on(live, tmp_path):
    net, _ = trained(seed=5)
    net.notes = {"why": "a test"}
    layer_of(net, "1 Forked / 4 Residual").trainable = False
    twin = live(net, tmp_path)
    assert state(twin) == state(net)
    assert tn.outputs(twin, X).tobytes() == tn.outputs(net, X).tobytes()
    assert np.array_equal(twin.forward(X, train=True), net.forward(X, train=True))


@after_any_life
def test_a_twin_is_independent(live, tmp_path):
    net, _ = trained()
    net.notes["deep"] = [1]
    before, outputs = state(net), tn.outputs(net, X)
    twin = live(net, tmp_path)
    for _, name, layer in walk(twin.layers):
        ours = layer_of(net, name)
        assert not any(np.shares_memory(view, ours.views[which]) for which, view in layer.views.items())
    train(tn.SGD(twin))
    twin[1].trainable = False
    twin.notes["deep"].append(2)
    assert twin.loss is not net.loss
    assert state(net) == before
    assert np.array_equal(tn.outputs(net, X), outputs)


@pytest.mark.parametrize("place", ["numpy", "numba"])
def test_a_network_moves_to_another_backend_with_all_its_state(place):
    net, _ = trained()
    there = net.copy(backend=place)
    assert there.backend.name == place
    assert state(there) == state(net)
    np.testing.assert_allclose(tn.outputs(there, X), tn.outputs(net, X), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------------ blocks


def test_residual_by_hand():
    net = tn.Network(tn.Residual(tn.Dense(1, 1), tn.ReLU()), tn.Residual(tn.Dense(1, 1), shortcut=tn.Dense(1, 1)))
    net.theta[...] = [2, 1, 3, 0, -1, 10]  # x + relu(2 x + 1); 3 y + 0 + (-1 y + 10)
    assert net.forward(np.array([[1], [-2]], "float32")).tolist() == [[2 * 4 + 10], [2 * -2 + 10]]


@pytest.mark.parametrize("inside", [lambda: tn.Dropout(0.5), lambda: BatchNorm(4)], ids=["dropout", "buffers"])
@pytest.mark.parametrize(
    "block",
    [
        lambda layer: tn.Residual(layer),
        lambda layer: tn.Residual(tn.Tanh(), shortcut=layer),
        lambda layer: tn.Residual(tn.Residual(layer), tn.Tanh()),
    ],
    ids=["inside", "shortcut", "deeper"],
)
def test_layers_inside_know_whether_it_is_training(block, inside):
    layer = inside()
    net = tn.Network(block(layer))
    before = state(net)
    y = net.forward(ROWS)
    assert layer.memory is None
    assert state(net) == before
    assert not np.array_equal(net.forward(ROWS, train=True), y)
    assert layer.memory is not None
    assert state(net) != before


BLOCKS = {
    "plain": lambda: tn.Residual(tn.Dense(4, 4), tn.Tanh()),
    "shortcut": lambda: tn.Residual(tn.Dense(4, 6), tn.Tanh(), tn.Dense(6, 3), shortcut=tn.Dense(4, 3)),
    "dropout": lambda: tn.Residual(tn.Dense(4, 4), tn.Dropout(0.5)),
    "without parameters": lambda: tn.Residual(tn.Tanh()),
    "buffers": lambda: tn.Residual(BatchNorm(4), tn.Dense(4, 4)),
    "block in a block": lambda: tn.Residual(tn.Residual(tn.Dense(4, 4), shortcut=tn.Residual(tn.Sigmoid())), tn.Tanh()),
    "one's own": lambda: Forked(tn.Dense(4, 3), [tn.Tanh()], {"a": tn.Dense(3, 2), "b": BLOCKS["small"]()}),
    "small": lambda: tn.Residual(tn.Dense(3, 2), shortcut=tn.Dense(3, 2)),
}
each_block = pytest.mark.parametrize("block", [make for name, make in BLOCKS.items() if name != "small"])


@each_block
def test_a_block_passes_the_gradient_check(block):
    assert tn.gradient_check_layer(block(), ROWS)
    assert tn.gradient_check(tn.Network(tn.Dense(4, 4), block(), tn.Tanh()), ROWS, LABELS % 2)


@each_block
def test_repr_names_what_is_inside(block):
    inside = [layer for layer in block().children() if not layer.children()]
    assert all(repr(layer) in repr(block()) for layer in inside)


def test_a_gradient_check_names_every_array_by_its_place():
    report = tn.gradient_check(network(), X, LABELS)
    assert report
    parameters = [f"{name}.{own}" for name in PARTS for own in layer_of(network(), name).shapes()]
    assert list(dict.fromkeys(entry.name for entry in report)) == [*parameters, "x"]
    assert "2 Residual / 0 Dense(6, 5).W" in parameters


def test_a_wrong_backward_inside_a_block_is_named():
    class Wrong(tn.Tanh):
        def backward(self, dy):
            return 2 * super().backward(dy)

    report = tn.gradient_check(tn.Network(tn.Residual(tn.Dense(4, 4), Wrong())), ROWS, LABELS)
    assert {entry.name for entry in report.failures} == {
        "0 Residual / 0 Dense(4, 4).W",
        "0 Residual / 0 Dense(4, 4).b",
        "x",
    }


def masks(**options) -> list[np.ndarray]:
    """What every Dropout of a network makes of ones."""
    layers = [tn.Dropout(0.5), tn.Residual(tn.Dropout(0.5), tn.Residual(tn.Dropout(0.5))), tn.Residual(tn.Dropout(0.5))]
    own = Forked(tn.Dense(9, 9), [tn.Dropout(0.5)], {"a": tn.Dropout(0.5), "b": tn.Dropout(0.5)})
    net = tn.Network(*layers, own, **options)
    inside = [layer for _, _, layer in walk(net.layers) if isinstance(layer, tn.Dropout)]
    return [layer.forward(np.ones((40, 50), net.dtype), train=True) for layer in inside]


def test_every_dropout_draws_for_itself_wherever_it_stands():
    drawn = [*masks(seed=1), *masks(seed=2)]
    assert len(drawn) == 14
    agreement = np.array([[(one == other).mean() for one in drawn] for other in drawn])
    np.testing.assert_allclose(agreement, 0.5 + 0.5 * np.eye(14), atol=0.06)


def test_the_same_seed_draws_the_same_masks_and_weights():
    assert np.array_equal(masks(seed=1), masks(seed=1))
    assert state(network(seed=1)) == state(network(seed=1))


def test_first_weights_inside_blocks_differ():
    W = [layer.W for layer in tn.Network(tn.Residual(*(tn.Dense(9, 9) for _ in range(3))), tn.Dense(9, 9))[0].layers]
    assert not any(np.array_equal(one, other) for one, other in ((W[0], W[1]), (W[1], W[2]), (W[0], W[2])))


def test_two_runs_with_dropout_inside_blocks_are_one_run():
    assert state(trained(seed=2)[0]) == state(trained(seed=2)[0]) != state(trained(seed=3)[0])


def test_fit_in_two_calls_is_one_call():
    net, optimizer = trained(epochs=2)
    train(optimizer, epochs=2)
    assert state(net) == state(trained(epochs=4)[0])


def test_summary_lists_blocks_and_buffers(default_backend):
    net = network(seed=4)
    layer_of(net, "1 Forked / 4 Residual").trainable = False
    assert net.summary().removesuffix(f"\n{net.backend.note}") == (
        "layer                     output shape  parameters  bytes  multiply-adds  buffers\n"
        "---------------------------------------------------------------------------------\n"
        "Flatten()                       (N, 4)           0      0              0        0\n"
        "Forked                          (N, 6)           0      0              0        0\n"
        "  Dense(4, 8)                   (N, 8)          40    160             32        0\n"
        "  Tanh()                        (N, 8)           0      0              0        0\n"
        "  BatchNorm(8, 0.25)            (N, 8)          16     64              0       16\n"
        "  Dropout(0.25)                 (N, 8)           0      0              0        0\n"
        "  Residual (frozen)             (N, 8)           0      0              0        0\n"
        "    Dense(8, 8) (frozen)        (N, 8)          72    288             64        0\n"
        "    Tanh()                      (N, 8)           0      0              0        0\n"
        "    Dropout(0.5)                (N, 8)           0      0              0        0\n"
        "  Dense(8, 6)                   (N, 6)          54    216             48        0\n"
        "  Dense(8, 6)                   (N, ?)          54    216             48        0\n"
        "Residual                        (N, 5)           0      0              0        0\n"
        "  Dense(6, 5)                   (N, 5)          35    140             30        0\n"
        "  Sigmoid()                     (N, 5)           0      0              0        0\n"
        "  Dense(6, 5)                   (N, 5)          35    140             30        0\n"
        "Tanh()                          (N, 5)           0      0              0        0\n"
        "BatchNorm(5, 0.25)              (N, 5)          10     40              0       10\n"
        "Dense(5, 3)                     (N, 3)          18     72             15        0\n"
        "---------------------------------------------------------------------------------\n"
        "total                                          334  1,336            267       26\n"
        f"float32, backend {default_backend}, seed 4, 0 epochs trained"
    )


def test_activations_are_every_layers_outputs_by_name():
    net, _ = trained()
    found = net.activations(X)
    assert sorted(found) == sorted(PARTS)
    for k, name in enumerate(name for name in PARTS if "/" not in name):
        assert np.array_equal(found[name], net[: k + 1].forward(X))
    inner = found["2 Residual / 1 Sigmoid()"] + found["2 Residual / 2 Dense(6, 5)"]
    assert np.array_equal(inner, found["2 Residual"])
    assert not any("forward" in vars(layer) for _, _, layer in walk(net.layers))


def test_compare_backends_goes_all_the_way_down():
    net, _ = trained()
    report = tn.compare_backends(net, X, LABELS, "numpy", "numba")
    names = [entry.name for entry in report.differences]
    parameters = [f"{name} d{own}" for name in PARTS for own in layer_of(net, name).shapes()]
    assert {*parameters, *(f"{name} y" for name in PARTS), *(f"{name} dx" for name in PARTS)} < set(names)
    assert names[-2:] == ["buffers after the step", "buffers after a step of fit"]
    assert max(entry.of_largest for entry in report.differences) < 500
    assert np.array_equal(net.theta, trained()[0].theta)


def test_the_layer_inside_in_which_backends_part_is_named():
    plain = tn.backend("numpy")
    other = replace(plain, name="other", ops=SimpleNamespace(**FUNCTIONS | {"sigmoid": lambda x: 1.01 * x}))
    report = tn.compare_backends(network(), X, LABELS, "numpy", other)
    assert report.first_difference == "2 Residual / 1 Sigmoid() y"


def test_what_memory_names_counts_once():
    class Stack(tn.Layer):
        """Remembers in training which of its layers it ran."""

        def __init__(self):
            self.inside = [tn.Dense(4, 4), tn.Tanh()]

        def forward(self, x, train=False):
            for layer in self.inside:
                x = layer.forward(x, train)
            self.memory = self.inside if train else None
            return x

        def backward(self, dy):
            for layer in reversed(self.recall()):
                dy = layer.backward(dy)
            return dy

    net = tn.Network(Stack(), tn.Dense(4, 3))
    tn.fit(net, tn.SGD(net), ROWS, LABELS, epochs=1)
    net[0].again = net[0].inside[0]
    assert (net[0].size, net[1:].theta.size) == (20, 15)
    assert net.summary().count("Dense(4, 4)") == 1
    assert state(net.copy()) == state(net)


# ------------------------------------------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("layers", "given", "found"),
    [
        ([tn.Flatten(), tn.Dense(784, 10)], (1, 28, 28), (10,)),
        ([tn.Flatten(), tn.Dense(784, 10)], (784,), (10,)),
        ([tn.Flatten(), tn.Dense(784, 10)], None, (10,)),
        ([tn.Flatten()], (2, 3, 4), (24,)),
        ([tn.Flatten()], None, None),
        ([tn.ReLU(), tn.Dropout(0.5)], (1, 28, 28), (1, 28, 28)),
        ([tn.ReLU()], None, None),
        ([tn.Residual(tn.ReLU())], (1, 28, 28), (1, 28, 28)),
        ([tn.Residual(tn.ReLU())], None, None),
        ([tn.Residual(tn.ReLU(), shortcut=tn.Dense(8, 8))], None, (8,)),
        ([tn.Residual(tn.Dense(8, 8), tn.ReLU())], None, (8,)),
        ([tn.Residual(tn.Dense(8, 6), shortcut=tn.Dense(8, 6))], (8,), (6,)),
    ],
    ids=str,
)
def test_outputs_of_a_shape(layers, given, found):
    assert tn.Network(*(layer.copy() for layer in layers)).output_shape(given) == found


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        (
            [tn.Dense(784, 10)],
            (1, 28, 28),
            "Dense(784, 10) takes x (N, 784), but gets (N, 1, 28, 28); a Flatten() in front of it makes rows",
        ),
        ([tn.Flatten(), tn.Dense(784, 10)], (1, 27, 28), "Dense(784, 10) takes x (N, 784), but gets (N, 756)"),
        ([BatchNorm(3)], (4,), "BatchNorm(3, 0.25) takes x (N, 3), but gets (N, 4)"),
        (
            [tn.Residual(tn.ReLU(), tn.Dense(8, 8))],
            (2, 4),
            "inside Residual(ReLU(), Dense(8, 8)): Dense(8, 8) takes x (N, 8), but gets (N, 2, 4); "
            "a Flatten() in front of it makes rows",
        ),
        (
            [tn.Residual(tn.Residual(tn.Dense(8, 8)))],
            (7,),
            "inside Residual(Residual(Dense(8, 8))): inside Residual(Dense(8, 8)): "
            "Dense(8, 8) takes x (N, 8), but gets (N, 7)",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("use", ["outputs", "fit", "evaluate", "predict", "gradient_check"])
def test_a_shape_that_a_layer_cannot_take_is_refused_everywhere(layers, shape, message, use):
    net = tn.Network(*(layer.copy() for layer in layers))
    x, labels = np.zeros((2, *shape)), [0, 1]
    uses = {
        "outputs": lambda: net.output_shape(shape),
        "fit": lambda: tn.fit(net, tn.SGD(net), x, labels, epochs=1),
        "evaluate": lambda: tn.evaluate(net, x, labels),
        "predict": lambda: tn.predict(net, x),
        "gradient_check": lambda: tn.gradient_check(net, x, labels),
    }
    before = "" if use == "outputs" else f"the network cannot take x {x.shape}: "
    with pytest.raises(ValueError, match=f"^{re.escape(before + message)}$"):
        uses[use]()


@pytest.mark.parametrize("x", [X, (40 * abs(X)).astype(np.uint8)], ids=["floats", "pixels"])
def test_pictures_are_the_rows_that_flatten_makes_of_them(x):
    flat = x.reshape(len(x), 4)
    one = tn.Network(tn.Flatten(), tn.Dense(4, 5), tn.Tanh(), tn.Dense(5, 3))
    other = tn.Network(one[1:])
    for net, rows in ((one, x), (other, flat)):
        tn.fit(net, tn.Adam(net), rows, LABELS, epochs=2, batch_size=8, validation=(rows, LABELS))
    assert np.array_equal(one.theta, other.theta)
    assert tn.evaluate(one, x, LABELS) == tn.evaluate(other, flat, LABELS)
    for use in (tn.predict, tn.predict_classes, tn.outputs):
        assert np.array_equal(use(one, x), use(other, flat))
    assert tn.gradient_check(one, x, LABELS)


# ------------------------------------------------------------------------------------------------------ frozen

FROZEN = {
    "the first layers": PARTS[:12],
    "a layer in a block in a block": PARTS[7:8],
    "a block": PARTS[6:10],
    "a shortcut": PARTS[15:16],
    "the last layer": PARTS[18:],
}


def froze(net: tn.Network, names: list[str], trainable: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Freezes these layers; says which numbers of theta are theirs, and which are not."""
    marked = net.copy()
    for name in names:
        layer_of(net, name).trainable = trainable
        for own in layer_of(net, name).shapes():
            layer_of(marked, name).views[own][...] = np.nan
    return np.isnan(marked.theta), ~np.isnan(marked.theta)


@each_optimizer
@pytest.mark.parametrize("which", FROZEN)
def test_what_is_frozen_stays_and_the_rest_moves(kind, which):
    net, optimizer = trained(kind)
    frozen, free = froze(net, FROZEN[which])
    before = net.theta.copy()
    train(optimizer, epochs=2)
    assert net.theta[frozen].tobytes() == before[frozen].tobytes()
    assert (net.theta[free] != before[free]).mean() > 0.9
    froze(net, FROZEN[which], trainable=True)
    train(optimizer)
    assert (net.theta[frozen] != before[frozen]).mean() > 0.9


@each_optimizer
def test_a_frozen_network_of_mlp_takes_no_short_cut(kind):
    net = tn.mlp(4, [6, 5], 3, dropout=[0.1])
    optimizer = OPTIMIZERS[kind](net)
    tn.fit(net, optimizer, ROWS, LABELS, epochs=1)
    before = net.theta.copy()
    net[1].trainable = False
    tn.fit(net, optimizer, ROWS, LABELS, epochs=2)
    same = net.theta == before
    assert same[:30].all()
    assert not same[30:].all()


def test_frozen_layers_count_for_nothing_when_gradients_are_clipped():
    """What is left moves as if it were all there is."""
    whole = tn.Network(tn.Dense(4, 4), tn.Tanh(), tn.Dense(4, 3))
    whole[0].trainable = False
    rest = tn.Network(whole[2:])
    features = tn.outputs(whole[:2], ROWS)
    for net, x in ((whole, ROWS), (rest, features)):
        tn.fit(net, tn.SGD(net, lr=1.0, clip_norm=0.01), x, LABELS, epochs=1, batch_size=8)
    np.testing.assert_allclose(whole[2].W, rest[0].W, rtol=1e-6)


def counting(calls: list[str]) -> tn.Backend:
    """The numpy backend, whose two backward functions of Dense leave a note each time."""
    plain = tn.backend("numpy")

    def noting(name):
        def call(*arguments):
            calls.append(name)
            return getattr(tn.functions, name)(*arguments)

        return call

    names = ("dense_backward", "dense_backward_parameters")
    return replace(plain, ops=SimpleNamespace(**FUNCTIONS | {name: noting(name) for name in names}))


@pytest.mark.parametrize(
    ("names", "parameters", "dx"),
    [
        ([], 7, 7),
        (["1 Forked / 5 Dense(8, 6)"], 6, 7),
        (["1 Forked / 0 Dense(4, 8)"], 6, 7),
        (["1 Forked"], 3, 3),
        (["1 Forked", "2 Residual"], 1, 1),
        (["1 Forked", "2 Residual", "4 BatchNorm(5, 0.25)"], 1, 0),
    ],
    ids=str,
)
def test_backward_spares_the_work_for_frozen_layers(names, parameters, dx):
    calls: list[str] = []
    net = network(backend=counting(calls))
    for name in names:
        layer_of(net, name).trainable = False
    net.backward(net.forward(X, train=True))
    assert (calls.count("dense_backward_parameters"), calls.count("dense_backward")) == (parameters, dx)


@pytest.mark.parametrize("part", [slice(None), slice(2), slice(2, None)], ids=str)
def test_a_network_or_a_part_is_frozen_as_a_whole(part):
    net = network()
    net[part].trainable = False
    assert [layer.trainable for layer in net] == [layer not in net.layers[part] for layer in net]
    assert (net.trainable, net[part].trainable) == (part != slice(None), False)
    net.trainable = True
    assert all(layer.trainable for _, _, layer in walk(net.layers))


def test_freezing_a_block_freezes_what_is_inside_and_one_inside_can_be_freed():
    net = network()
    net[1].trainable = False
    assert [layer.trainable for _, name, layer in walk(net.layers) if name.startswith("1 ")] == [False] * 11
    layer_of(net, "1 Forked / 4 Residual / 0 Dense(8, 8)").trainable = True
    before = net.theta.copy()
    train(tn.Adam(net))
    moved = net.theta[:236] != before[:236]
    assert moved.sum() == moved[56:128].sum() > 0


def test_a_gradient_check_tests_frozen_layers_too_and_leaves_them_frozen():
    net = network()
    net[1].trainable = False
    report = tn.gradient_check(net, X, LABELS)
    assert report
    assert "1 Forked / 0 Dense(4, 8).W" in {entry.name for entry in report}
    assert not net[1].stem.trainable
    block = tn.Residual(tn.Dense(4, 4))
    block.trainable = False
    assert tn.gradient_check_layer(block, ROWS)
    assert not block.layers[0].trainable


# ----------------------------------------------------------------------------------------------- parts, reused


@pytest.mark.parametrize("part", [slice(3), slice(1, None), slice(2, 4), slice(-2, None)], ids=str)
def test_a_part_shares_what_its_layers_learn(part):
    net, _ = trained()
    half = net[part]
    assert list(half) == list(net.layers[part])
    half.theta[...], half.grad[...], half.buffers[...] = 7, 8, 9
    for _, _, layer in walk(half.layers):
        for name, view in layer.views.items():
            assert (view == (7 if name in layer.shapes() else 9 if name in layer.buffers() else 8)).all()
    assert half.theta.size == half.grad.size == sum(layer.size for layer in half)
    counts = [(net.theta == 7).sum(), (net.grad == 8).sum(), (net.buffers == 9).sum()]
    assert counts == [half.theta.size, half.grad.size, half.buffers.size]


def test_a_part_has_notes_of_its_own_and_knows_the_loss_only_of_its_last_layer():
    net, _ = trained()
    net.notes["deep"] = [1]
    net[1:].notes["deep"] = 2
    assert (net.notes, net[1:].notes) == ({"deep": [1]}, {})
    assert (net[:3].loss, net[3:].loss) == (None, net.loss)
    assert (net[1:].seed, net[1:].epoch, net[1:].dtype) == (net.seed, net.epoch, net.dtype)


def test_parts_one_after_the_other_are_the_whole():
    net, _ = trained()
    assert np.array_equal(net[3:].forward(net[:3].forward(X)), net.forward(X))
    assert np.array_equal(tn.outputs(net[:3], X), net.activations(X)["2 Residual"])
    assert list(net[1:][1:3]) == list(net[2:4])
    assert np.array_equal(net[1:][1:3].theta, net[2:4].theta)


@pytest.mark.parametrize("make", [network, lambda: tn.mlp(4, [6, 6], 5, dropout=[0.1])], ids=["blocks", "mlp"])
def test_training_a_part_moves_that_part_alone(make):
    net = make()
    part = net[2:]
    x = tn.outputs(net[:2], ROWS)
    before = net.theta[: -part.theta.size].copy()
    learned = part.theta.copy()
    tn.fit(part, tn.Adam(part), x, LABELS, epochs=2)
    assert np.array_equal(net.theta[: -part.theta.size], before)
    assert not np.array_equal(net.theta[-part.theta.size :], learned)


def test_a_network_of_trained_parts_has_copies_of_them():
    net, _ = trained()
    net[2].trainable = False
    before = state(net)
    odd = tn.Network(net[:3], tn.Dense(5, 2), seed=9)
    assert np.array_equal(tn.outputs(odd[:3], X), tn.outputs(net[:3], X))
    assert np.array_equal(odd.theta[:306], net.theta[:306])
    assert np.array_equal(odd.buffers, net.buffers[:16])
    assert [layer.trainable for layer in odd] == [True, True, False, True]
    assert (odd.epoch, odd.loss, odd[1].rest[2].counter) == (0, None, 6)
    tn.fit(odd, tn.Adam(odd), X, LABELS % 2, epochs=1)
    assert state(net) == before


@pytest.mark.parametrize("part", [slice(0, 0), slice(9, None), slice(None, None, 2), slice(None, None, -1)], ids=str)
def test_a_part_is_one_or_more_neighbors(part):
    with pytest.raises(ValueError, match=r"^a part of a network is one or more neighbors, as net\[:3\]; got \["):
        network()[part]


# ---------------------------------------------------------------------------------------------------- refusals


class Rebinding(BatchNorm):
    """A buffer is replaced where it should be written into."""

    def forward(self, x, train=False):
        if train:
            self.mean = 0.5 * self.mean + 0.5 * x.mean(axis=0, keepdims=True)
        return super().forward(x)

    def backward(self, dy):
        return dy


REPLACED = "Rebinding(4, 0.25).mean was replaced and is cut off from the network's vectors; write mean[...] = instead"


@pytest.mark.parametrize(
    "use",
    [
        lambda net, path: tn.fit(net, tn.SGD(net), ROWS, LABELS, epochs=1),
        lambda net, path: tn.save(net, path),
        lambda net, path: net.copy(),
        lambda net, path: copy.copy(net),
        lambda net, path: copy.deepcopy(net),
        lambda net, path: pickle.dumps(net),
        lambda net, path: tn.Network(net[:1]),
        lambda net, path: tn.gradient_check(net, ROWS, LABELS),
    ],
    ids=["fit", "save", "copy", "copy.copy", "deepcopy", "pickle", "reuse", "gradient_check"],
)
def test_a_buffer_that_was_replaced_is_named_wherever_it_would_be_lost(use, tmp_path):
    net = tn.Network(tn.Residual(Rebinding(4)), tn.Dense(4, 3))
    net.forward(ROWS, train=True)
    with pytest.raises(ValueError, match=re.escape(REPLACED)):
        use(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


def test_a_buffer_that_is_replaced_in_training_stops_it_after_an_epoch():
    net = tn.Network(Rebinding(4), tn.Dense(4, 3))
    with pytest.raises(ValueError, match=re.escape(REPLACED)):
        tn.fit(net, tn.SGD(net), ROWS, LABELS, epochs=9)
    assert net.epoch == 1


@pytest.mark.parametrize("name", ["theta", "grad", "buffers"])
@pytest.mark.parametrize("part", [slice(None), slice(1, None)], ids=["whole", "part"])
@pytest.mark.parametrize(
    "use",
    [
        lambda net, path: tn.fit(net, tn.Adam(net), ROWS, LABELS, epochs=1),
        lambda net, path: tn.save(net, path),
        lambda net, path: net.copy(),
        lambda net, path: pickle.dumps(net),
    ],
    ids=["fit", "save", "copy", "pickle"],
)
def test_a_vector_that_was_replaced_is_named(name, part, use, tmp_path):
    net = network()[part]
    setattr(net, name, getattr(net, name) + 1)
    with pytest.raises(ValueError, match=rf"^network.{name} was replaced and is cut off .* write {name}\[...\] = ins"):
        use(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


REPLACEMENTS = {
    "by a layer of another network": lambda net: vars(net[2]).update(layers=network()[2].layers),
    "by a new one": lambda net: vars(net[2]).update(shortcut=tn.Dense(6, 5)),
    "one more": lambda net: vars(net[2]).update(late=tn.Dense(6, 5)),
    "one less": lambda net: vars(net[2]).update(shortcut=None),
    "at the top": lambda net: setattr(net, "layers", net.layers[::-1]),
}


@pytest.mark.parametrize("replace_in", REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("use", ["fit", "save", "copy", "pickle"])
def test_layers_that_were_replaced_are_noticed(replace_in, use, tmp_path):
    net = network()
    replace_in(net)
    uses = {
        "fit": lambda: tn.fit(net, tn.SGD(net), X, LABELS, epochs=1),
        "save": lambda: tn.save(net, tmp_path / "net.npz"),
        "copy": net.copy,
        "pickle": lambda: pickle.dumps(net),
    }
    with pytest.raises(ValueError, match=r"^layers of this network were replaced and are not in its vectors; make"):
        uses[use]()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["theta", "grad"])
def test_an_optimizer_that_replaces_a_vector_is_named(name):
    class Careless(tn.Optimizer):
        def update(self, lr):
            setattr(self, name, getattr(self, name) - lr * self.grad)

    net = network()
    with pytest.raises(ValueError, match=rf"^Careless.{name} is no longer its network's vector: .* {name}\[...\] = "):
        train(Careless(net, lr=0.1))


def own(shapes=(), buffers=(), **attributes) -> tn.Layer:
    """A layer with parameters, buffers and attributes of these names."""
    methods = {"shapes": lambda self: dict.fromkeys(shapes, (1,)), "buffers": lambda self: dict.fromkeys(buffers, (1,))}
    layer = type("Own", (tn.Layer,), methods)()
    vars(layer).update(attributes)
    return layer


@pytest.mark.parametrize("method", ["config", "shapes", "buffers"])
def test_a_method_that_forgets_to_return_its_dictionary_is_named(method):
    forgetful = type("Forgetful", (BatchNorm,), {method: lambda self: None})
    with pytest.raises(TypeError, match=rf"^Forgetful.{method}\(\) must return a dictionary; got None$"):
        tn.Network(tn.Residual(forgetful(4)))


def holding_itself() -> tn.Layer:
    layer = own()
    layer.inside = [layer]
    return layer


TAKEN = tn.Network(tn.Residual(tn.Dense(4, 4)))[0]
TWICE = tn.Dense(4, 4)
PART = "is part of a network already and has its views there; make a new layer, or a copy of it with what it has"
REFUSED = {
    "a layer named as a parameter": (lambda: own(["W"], W=tn.ReLU()), "Own() uses ['W'] twice"),
    "a layer named as a buffer": (lambda: own(buffers=["m"], m=tn.ReLU()), "Own() uses ['m'] twice"),
    "a layer named as a gradient": (lambda: own(["W"], dW=tn.ReLU()), "Own() uses ['dW'] twice"),
    "a buffer named as a parameter": (lambda: own(["W"], ["W"]), "Own() uses ['W'] twice"),
    "a buffer named as a gradient": (lambda: own(["W"], ["dW"]), "Own() uses ['dW'] twice"),
    "a buffer named as a method": (lambda: own(buffers=["copy"]), "Own() has parameters ['copy'], names that a layer"),
    "a buffer named as a place": (lambda: own(buffers=["ops"]), "Own() has parameters ['ops'], names that a layer"),
    "an attribute named as a method": (lambda: own(backward=3), "Own has attributes ['backward'], names that a layer"),
    "an attribute named as a place": (
        lambda: own(random_key=3),
        "Own has attributes ['random_key'], names that a layer",
    ),
    "inside too": (lambda: tn.Residual(own(["W"], ["W"])), "Own() uses ['W'] twice"),
    "a block of another network": (lambda: TAKEN, f"Residual(Dense(4, 4)) {PART}"),
    "a layer inside a block of another network": (lambda: TAKEN.layers[0], f"Dense(4, 4) {PART}"),
    "a new block around it": (lambda: tn.Residual(TAKEN.layers[0]), f"Dense(4, 4) {PART}"),
    "a layer twice in a block": (
        lambda: tn.Residual(TWICE, TWICE),
        "Network takes each layer once; Dense(4, 4) is there",
    ),
    "a layer in two blocks": (
        lambda: Forked(tn.Residual(TWICE), [], {"a": tn.Residual(TWICE)}),
        "Network takes each layer once; Dense(4, 4) is there twice, and has one memory",
    ),
    "a layer that holds itself": (holding_itself, "Network takes each layer once; Own() is there twice"),
    "a block of layers that do not meet": (
        lambda: tn.Residual(tn.Dense(4, 5), tn.Dense(4, 4)),
        "inside Residual(Dense(4, 5), Dense(4, 4)): Dense(4, 4) takes x (N, 4), but gets (N, 5)",
    ),
    "a block that cannot add": (
        lambda: tn.Residual(tn.Dense(4, 5)),
        "Residual(Dense(4, 5)) adds (N, 5) to (N, 4); it takes a shortcut, as shortcut=Dense(4, 5), that gives",
    ),
    "a shortcut of another width": (
        lambda: tn.Residual(tn.Dense(4, 5), shortcut=tn.Dense(4, 6)),
        "Residual(Dense(4, 5), shortcut=Dense(4, 6)) adds (N, 5) to (N, 6); it takes another shortcut that gives",
    ),
    "a shortcut for another width": (
        lambda: tn.Residual(tn.Dense(4, 5), shortcut=tn.Dense(3, 5)),
        "inside Residual(Dense(4, 5), shortcut=Dense(3, 5)): Dense(3, 5) takes x (N, 3), but gets (N, 4)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_cannot_be_part_of_a_network_is_refused(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        tn.Network(make())


@pytest.mark.parametrize("arguments", [(), (3,), (network(),), (tn.ReLU(), "x")], ids=str)
def test_residual_takes_layers(arguments):
    with pytest.raises(TypeError, match=r"^Residual takes layers, one or more, and a layer as shortcut; got "):
        tn.Residual(*arguments)


def test_a_sum_that_only_the_rows_show_is_refused_in_forward():
    class Halving(tn.Layer):
        def forward(self, x, train=False):
            return x[:, :2]

        def output_shape(self, shape):
            return None

    with pytest.raises(ValueError, match=r"^Residual\(Halving\(\)\) adds \(24, 2\) to \(24, 4\); it takes a shortcut"):
        tn.Network(tn.Residual(Halving())).forward(ROWS)


@pytest.mark.parametrize("change", [lambda net: vars(net[0]).update(late=tn.Dense(4, 4)), lambda net: None])
def test_a_layer_that_the_network_never_saw_says_where_it_belongs(change):
    class Hiding(tn.Layer):
        def __init__(self):
            self.late = {tn.Dense(4, 4)}

        def forward(self, x, train=False):
            late = self.late if isinstance(self.late, tn.Layer) else next(iter(self.late))
            return late.forward(x, train)

    net = tn.Network(Hiding())
    change(net)
    message = "part of no network yet: tn.Network(layer), or an attribute, a list or a dictionary of a layer there"
    with pytest.raises(AttributeError, match=re.escape(message) + "$"):
        net.forward(ROWS)


def test_values_of_another_class_with_that_name_are_not_taken():
    layer = BatchNorm(4)
    vars(layer)["_values"] = {"gamma": np.ones((1, 4)), "beta": np.ones((1, 4))}
    with pytest.raises(
        ValueError,
        match=r"^BatchNorm\(4, 0.25\) brings values of \{'gamma': \(1, 4\), 'beta': \(1, 4\)\}, but its shapes",
    ):
        tn.Network(layer)


@pytest.mark.parametrize("loss", [None, tn.MeanSquaredError()])
def test_fit_refuses_a_network_that_is_frozen_from_end_to_end(loss):
    net = network()
    for layer in net:
        layer.trainable = False
    before = state(net)
    with pytest.raises(ValueError, match=r"^fit has nothing to train: every layer is frozen; layer.trainable = True"):
        tn.fit(net, tn.Adam(net), X, LABELS, epochs=1, loss=loss)
    assert state(net) == before
    net[1].rest[1].trainable = True
    train(tn.Adam(net))


@pytest.mark.parametrize("other", [lambda net: net.copy(), lambda net: net[:3], lambda net: tn.Network(net)])
def test_fit_refuses_the_optimizer_of_a_copy_or_of_a_part(other):
    net = network()
    with pytest.raises(ValueError, match="takes an optimizer of the network that it trains; this one belongs to"):
        tn.fit(net, tn.Adam(other(net)), X, LABELS, epochs=1)


@pytest.mark.parametrize("slots", [("theta",), ("m", "grad"), ("lr",), ("step",), ("network",)], ids=str)
def test_slots_need_names_of_their_own(slots):
    kind = type("Mine", (SignDescent,), {"slots": slots})
    with pytest.raises(ValueError, match=r"^Mine takes slots with other names; got "):
        kind(network())


@pytest.mark.parametrize("dtype", ["float16", "int32"])
def test_a_copy_is_of_a_dtype_that_networks_have(dtype):
    with pytest.raises(ValueError, match=f"^Network takes dtype 'float32' or 'float64'; got '{dtype}'$"):
        network().copy(dtype=dtype)
