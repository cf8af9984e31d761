"""diagnosis.py: one training step looked at, what it says of good networks and bad ones, and what it leaves alone."""

import copy
import math
import re
import warnings

import numpy as np
import own_layers
import pytest

import tinynet as tn
from tinynet.inspect.diagnosis import first_not_finite
from tinynet.layers.bound import walk
from tinynet.layers.recording import received, recorded


@pytest.fixture
def rows(draw):
    return draw.normal(size=(64, 6)).astype("float32"), draw.integers(0, 3, 64)


def deep(bend, *, depth=8, scale=1.0):
    """6 features through `depth` layers of 6 to 3 logits."""
    layers = [layer for _ in range(depth) for layer in (tn.Dense(6, 6), bend())]
    net = tn.Network(*layers, tn.Dense(6, 3), seed=1)
    net.theta *= scale
    return net


def by_name(report):
    return {row.layer: row for row in report.rows}


def snapshot(net, optimizer):
    vectors = [vector.tobytes() for vector in (net.theta, net.grad, net.buffers)]
    memories = [layer.memory is None for _, _, layer in walk(net.layers)]
    slots = [getattr(optimizer, name).tobytes() for name in optimizer.slots]
    return vectors, memories, own_layers.state(net), slots, optimizer.step_count


# ---------------------------------------------------------------------------------------------- numbers


def test_a_row_holds_the_numbers_of_the_step(rows):
    net = tn.Network(tn.Dense(6, 5), tn.ReLU(), tn.Dense(5, 3), dtype="float64", seed=2)
    x, t = rows[0].astype(float), rows[1]
    report = tn.diagnose(net, x, t)
    y = net.activations(x)
    p = np.exp(y["2 Dense(5, 3)"])
    dz = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[t]) / len(x)
    hidden = dz @ net[2].W.T
    dys = {"0 Dense(6, 5)": hidden * (y["0 Dense(6, 5)"] > 0), "1 ReLU()": hidden, "2 Dense(5, 3)": dz}
    assert [row.layer for row in report.rows] == list(dys)
    for row in report.rows:
        assert row.shape == y[row.layer].shape
        assert (row.y_mean, row.y_spread) == pytest.approx((y[row.layer].mean(), y[row.layer].std()))
        assert row.dy_mean == pytest.approx(dys[row.layer].mean(), abs=1e-15)
        assert row.dy_spread == pytest.approx(dys[row.layer].std())
        assert row.update is None
    assert report.loss == pytest.approx(tn.evaluate(net, x, t).loss)


@pytest.mark.parametrize("name", own_layers.OPTIMIZERS)
def test_the_step_is_the_next_one_of_fit(rows, name):
    net = tn.mlp(6, [5], 3, seed=1)
    optimizer = own_layers.OPTIMIZERS[name](net)
    tn.fit(net, optimizer, *rows, epochs=2, progress=False)
    report = by_name(tn.diagnose(net, *rows, optimizer))
    mover = copy.deepcopy(optimizer)
    history = tn.fit(mover.network, mover, *rows, epochs=1, batch_size=64, progress=False)
    assert history[0].loss == pytest.approx(tn.diagnose(net, *rows).loss)
    for place, after in (("0 Dense(6, 5)", mover.network[0]), ("2 Dense(5, 3)", mover.network[2])):
        before = net[int(place[0])]
        theta, moved = (np.concatenate([layer.W.ravel(), layer.b.ravel()]) for layer in (before, after))
        assert report[place].update == pytest.approx(np.linalg.norm(moved - theta) / np.linalg.norm(theta), rel=1e-3)


def test_a_ratio_of_plain_gradient_descent_by_hand():
    net = tn.Network(tn.Dense(1, 1), dtype="float64")
    net.theta[...] = [3, 4]
    report = tn.diagnose(net, np.ones((1, 1)), np.full((1, 1), 2.0), tn.SGD(net, lr=0.5), loss=tn.MeanSquaredError())
    (row,) = report.rows
    assert (report.loss, row.y_mean, row.dy_mean) == (25, 7, 10)  # dy = 2 (7 - 2), and so dW = db = 10
    assert row.update == pytest.approx(math.hypot(5, 5) / 5)
    assert row.parameters == 2


def test_blocks_and_layers_of_ones_own_are_gone_into():
    net, optimizer = own_layers.trained()
    report = tn.diagnose(net, *own_layers.pictures(), optimizer)
    assert [row.layer for row in report.rows] == own_layers.PARTS
    found = by_name(report)
    assert found["1 Forked / 4 Residual / 0 Dense(8, 8)"].update > 0
    assert (found["1 Forked"].parameters, found["1 Forked"].update) == (0, None)
    assert found["1 Forked / 2 BatchNorm(8, 0.25)"].saturated is None
    assert found["0 Flatten()"].dy_spread is None
    assert all(row.dy_spread > 0 for row in report.rows[1:])
    assert report.not_finite == ""


def test_a_dead_unit_is_0_for_every_row_and_not_only_for_some():
    net = tn.Network(tn.Dense(1, 4), tn.ReLU(), tn.Dense(4, 2))
    net[0].W[...], net[0].b[...] = 1, [[0, 10, -10, -10]]
    x = np.array([[-1.0], [1.0]])
    assert tn.diagnose(net, x, [0, 1]).rows[1].dead == 0.5
    assert tn.diagnose(net, x[:1], [0]).rows[1].dead == 0.75


@pytest.mark.parametrize(
    ("bend", "at", "expected"),
    [
        (tn.Tanh, [-3, -2.6, 2.6, 3], 0.5),  # tanh 2.65 is 0.99
        (tn.Sigmoid, [-5, -4.5, 4.5, 5], 0.5),  # sigmoid 4.6 is 0.99
        (tn.Sigmoid, [-5, 0, 0, 0], 0.25),
        (tn.ReLU, [-5, 5, 5, 5], None),
        (tn.Softmax, [-50, 0, 0, 50], None),
        (tn.GELU, [-50, 0, 0, 50], None),
    ],
)
def test_saturation_is_the_share_of_outputs_where_the_curve_is_flat(bend, at, expected):
    net = tn.Network(tn.Dense(1, 4), bend(), tn.Dense(4, 2))
    net[0].b[...] = [at]
    assert tn.diagnose(net, np.zeros((3, 1)), [0, 1, 0]).rows[1].saturated == expected


def test_frozen_layers_have_no_update_and_are_marked(rows):
    net = deep(tn.Tanh, depth=2)
    net[:2].trainable = False
    report = tn.diagnose(net, *rows, tn.SGD(net))
    first, _, second, *_ = report.rows
    assert (first.frozen, first.learns, first.update, first.dy_spread) == (True, False, None, None)
    assert (second.frozen, second.learns) == (False, True)
    assert second.update > 0
    assert "0 Dense(6, 6) (frozen)" in repr(report)


def test_theta_of_zeros_has_no_size_to_compare_with(rows):
    net = tn.Network(tn.Dense(6, 3, "zeros"))
    assert tn.diagnose(net, *rows, tn.SGD(net)).rows[0].update is None


LOSSES = {
    "classes": (3, tn.SoftmaxCrossEntropy(label_smoothing=0.1), lambda t: t),
    "two classes": (1, tn.BinaryCrossEntropy(), lambda t: t > 0),
    "values": (2, tn.MeanSquaredError(), lambda t: np.stack([t, t], axis=1) / 2),
    "values, Huber": (2, tn.Huber(), lambda t: np.stack([t, t], axis=1) / 2),
    "one's own": (2, own_layers.Power(), lambda t: np.stack([t, t], axis=1) / 2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_and_dtype_is_taken(rows, name, dtype):
    K, loss, targets = LOSSES[name]
    net = tn.mlp(6, [5], K, dtype=dtype, init="he_normal")
    x, t = rows[0], targets(rows[1])
    t = t.astype(int) if t.dtype == bool else t
    report = tn.diagnose(net, x, t, tn.Adam(net), loss=loss)
    assert report.loss == pytest.approx(tn.evaluate(net, x, t, loss).loss, rel=1e-5)
    assert report.not_finite == ""


def test_the_loss_of_the_last_training_is_known(rows):
    net = tn.mlp(6, [5], 1)
    net.loss = tn.MeanSquaredError()
    t = rows[1][:, None].astype(float)
    assert tn.diagnose(net, rows[0], t).loss == pytest.approx(tn.evaluate(net, rows[0], t).loss)


def test_pictures_of_pixels_and_a_single_layer_are_taken(draw):
    x = draw.integers(0, 256, (9, 1, 4, 4)).astype(np.uint8)
    net = tn.Network(tn.Dropout(0.5), tn.Flatten(), tn.Dense(16, 2))
    report = tn.diagnose(net, x, draw.integers(0, 2, 9), tn.SGD(net))
    assert [row.shape for row in report.rows] == [(9, 1, 4, 4), (9, 16), (9, 2)]
    assert report.warnings == []
    alone = tn.Network(tn.ReLU())
    assert len(tn.diagnose(alone, np.eye(3), [0, 1, 2], tn.SGD(alone)).rows) == 1


def test_a_first_layer_without_a_dx_is_no_obstacle(rows):
    net = tn.Network(OnlyParameters(6), tn.Dense(6, 3))
    report = tn.diagnose(net, *rows, tn.SGD(net, lr=0.1))
    assert report.rows[0].dy_spread > 0
    assert report.rows[0].update > 0


class OnlyParameters(tn.Layer):
    """y = x + b, as the first layer, which is never asked for dx."""

    def __init__(self, D):
        self.D = D

    def forward(self, x, train=False):
        return x + self.b

    def backward(self, dy):
        raise AssertionError("nobody needs dx of the first layer")

    def backward_parameters(self, dy):
        self.db[...] = dy.sum(axis=0, keepdims=True)

    def shapes(self):
        return {"b": (1, self.D)}

    def initial(self, draw):
        return {"b": draw.normal(size=(1, self.D))}


# ----------------------------------------------------------------------------------------- left alone


@pytest.mark.parametrize("name", own_layers.OPTIMIZERS)
def test_nothing_of_the_users_moves(name):
    net, optimizer = own_layers.trained(name)
    x, t = own_layers.pictures()
    loss = tn.SoftmaxCrossEntropy(label_smoothing=0.1)
    before, memory, ops = snapshot(net, optimizer), loss.memory, loss.ops
    tn.diagnose(net, x, t, optimizer, loss=loss)
    assert snapshot(net, optimizer) == before
    assert (loss.memory, loss.ops) == (memory, ops)
    assert optimizer.theta is net.theta
    for layer in net:
        assert not {"forward", "backward", "backward_parameters"} & vars(layer).keys()


def test_recordings_inside_each_other_leave_no_trace():
    net = own_layers.network()
    x, _ = own_layers.pictures()
    with received(net.layers, "forward") as given, recorded(net.layers, "forward") as made:
        net.forward(x)
    assert sorted(given) == sorted(made) == sorted(own_layers.PARTS)
    assert (given["5 Dense(5, 3)"] == made["4 BatchNorm(5, 0.25)"]).all()
    assert not any("forward" in vars(layer) for _, _, layer in walk(net.layers))


def test_training_goes_on_as_if_nobody_had_looked():
    (one, mover), (other, looked_at) = own_layers.trained("Adam"), own_layers.trained("Adam")
    tn.diagnose(other, *own_layers.pictures(), looked_at)
    own_layers.train(mover)
    own_layers.train(looked_at)
    assert own_layers.state(one) == own_layers.state(other)


# ------------------------------------------------------------------------------------------ sentences


def test_a_good_network_is_not_warned_of(rows):
    net = tn.mlp(6, [32, 32], 3, init="he_normal", seed=3)
    report = tn.diagnose(net, *rows, tn.Adam(net))
    assert report.warnings == []
    assert repr(report).endswith("\nno warnings")


def test_dead_relus_are_counted(rows):
    net = tn.mlp(6, [25, 4], 3, seed=1)
    net[0].b[:, :23] = -100
    (sentence,) = [line for line in tn.diagnose(net, *rows).warnings if "dead" in line]
    assert sentence == (
        '1 ReLU(): 92 % of its ReLUs are dead, 0 for all 64 rows; lower lr, or He initialization, init="he_normal"'
    )


@pytest.mark.parametrize(
    ("bend", "word"), [(tn.ReLU, "of its ReLUs are dead"), (tn.Tanh, "saturated"), (tn.Sigmoid, "saturated")]
)
def test_more_than_half_dead_or_saturated_is_warned_of(bend, word):
    net = tn.Network(tn.Dense(1, 8), bend(), tn.Dense(8, 2))
    for count, expected in ((4, []), (5, ["62"])):
        net[0].b[:, :count], net[0].b[:, count:] = -100, 0.5
        lines = [line for line in tn.diagnose(net, np.zeros((2, 1)), [0, 1]).warnings if word in line]
        assert [re.fullmatch(rf"1 {bend.__name__}\(\): (\d+) % .*", line)[1] for line in lines] == expected


def test_gradients_that_vanish_are_seen(rows):
    (sentence,) = tn.diagnose(deep(tn.Sigmoid, scale=0.5), *rows).warnings[:1]
    assert sentence.startswith("gradients vanish: a row's dy has the length 0.")
    assert "at 16 Dense(6, 3)" in sentence
    assert "at 0 Dense(6, 6)" in sentence


def test_gradients_that_explode_are_seen(rows):
    sentences = tn.diagnose(deep(tn.ReLU, scale=20), *rows).warnings
    assert any(line.startswith("gradients explode: a row's dy has the length 0.") for line in sentences)
    calmer = tn.diagnose(deep(tn.ReLU, scale=3), *rows)
    assert 1 < calmer.rows[0].dy_size / calmer.rows[-1].dy_size < 1e4
    assert not any("explode" in line for line in calmer.warnings)


def test_gradients_are_compared_where_something_learns(rows):
    net = tn.Network(*(layer.copy() for layer in deep(tn.Sigmoid, scale=0.5)), tn.Softmax())
    assert "at 16 Dense(6, 3) and" in tn.diagnose(net, *rows).warnings[0]


def test_gradients_of_one_sign_are_no_explosion():
    net = tn.Network(tn.Dense(2, 3), tn.Tanh(), tn.Dense(3, 1), seed=1)
    net[2].W[...] = 0.5
    report = tn.diagnose(net, np.array([[0.0, 1], [1, 0]]), [0, 0], loss=tn.BinaryCrossEntropy())
    assert report.rows[2].dy_spread < report.rows[2].dy_size / 5
    assert report.warnings == []
    alone = tn.diagnose(net, np.array([[0.0, 1]]), [0], loss=tn.BinaryCrossEntropy())
    assert alone.rows[2].dy_spread == 0
    assert alone.warnings == []


def test_where_no_gradient_comes_lr_is_not_blamed(rows):
    net = tn.Network(tn.Dense(6, 6), tn.Tanh(), tn.Dense(6, 3, "zeros"), seed=1)
    sentences = tn.diagnose(net, *rows, tn.SGD(net)).warnings
    assert sentences == [
        "no gradient reaches 0 Dense(6, 6): every dy there is 0; look for dead units or weights of 0 after it",
        "all 64 rows get the same output, whatever x is; other first weights, or lower lr",
    ]


@pytest.mark.parametrize(
    ("lr", "advice"), [(1e3, "lower lr"), (1e-2, ""), (1e-7, "higher lr, unless dy vanishes there")]
)
def test_the_size_of_the_update_is_judged(rows, lr, advice):
    net = tn.mlp(6, [8], 3, init="he_normal", seed=1)
    sentences = tn.diagnose(net, *rows, tn.SGD(net, lr=lr)).warnings
    assert [line.partition("; ")[2] for line in sentences] == ([advice] if advice else [])
    assert all("a step changes its parameters by" in line for line in sentences)


def test_outputs_that_are_all_alike_are_seen(rows):
    net = tn.mlp(6, [8], 3, seed=1)
    net[0].b[...], net[2].b[...] = -100, [[1, 2, 3]]
    alike = "all 64 rows get the same output, whatever x is; other first weights, or lower lr"
    assert alike in tn.diagnose(net, *rows).warnings
    assert not [line for line in tn.diagnose(net, rows[0][:1], rows[1][:1]).warnings if "same output" in line]


def test_pixels_that_nobody_divided_are_a_sentence_and_no_warning_of_python(rows):
    net = tn.mlp(6, [8], 3, init="he_normal", seed=1)
    x = np.clip(np.abs(rows[0]) * 100, 0, 255)
    x[0, 0] = 255
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "x are floats that reach 255; did you mean x / 255?" in tn.diagnose(net, x, rows[1]).warnings


# ------------------------------------------------------------------------------------------- pictures


def seeing(*first, **options):
    """Pictures (N, 1, rows, columns) to three logits, as such networks are usually made."""
    return tn.Network(
        *first,
        tn.Conv2D(1, 4, 3, padding=1),
        tn.BatchNorm(4),
        tn.ReLU(),
        tn.MaxPool2D(2),
        tn.Residual(tn.Conv2D(4, 4, 3, padding=1), tn.BatchNorm(4), tn.ReLU()),
        tn.Residual(tn.Conv2D(4, 6, 3, 2, 1), tn.BatchNorm(6), tn.ReLU(), shortcut=tn.Conv2D(4, 6, 1, 2)),
        tn.GlobalAveragePool(),
        tn.Dense(6, 3),
        seed=1,
        **options,
    )


SEEN = [
    "0 Conv2D(1, 4, 3, 1, 1)",
    "1 BatchNorm(4)",
    "2 ReLU()",
    "3 MaxPool2D(2)",
    "4 Residual",
    "4 Residual / 0 Conv2D(4, 4, 3, 1, 1)",
    "4 Residual / 1 BatchNorm(4)",
    "4 Residual / 2 ReLU()",
    "5 Residual",
    "5 Residual / 0 Conv2D(4, 6, 3, 2, 1)",
    "5 Residual / 1 BatchNorm(6)",
    "5 Residual / 2 ReLU()",
    "5 Residual / 3 Conv2D(4, 6, 1, 2, 0)",
    "6 GlobalAveragePool()",
    "7 Dense(6, 3)",
]


@pytest.fixture
def pictures(draw):
    return draw.integers(0, 256, (16, 1, 8, 8)).astype(np.uint8), np.arange(16) % 3


@pytest.mark.parametrize("optimizer", [tn.SGD, tn.Adam])
def test_a_good_network_of_pictures_is_not_warned_of_nor_of_its_biases_before_batch_norm(pictures, optimizer):
    net = seeing()
    report = tn.diagnose(net, *pictures, optimizer(net, lr=0.001))
    assert report.warnings == []
    assert [row.layer for row in report.rows] == SEEN
    assert all(row.dy_spread > 0 for row in report.rows)
    assert all((row.update is not None) is (row.parameters > 0) for row in report.rows)
    assert by_name(report)["5 Residual / 3 Conv2D(4, 6, 1, 2, 0)"].shape == (16, 6, 2, 2)


def test_a_dead_unit_of_pictures_is_a_map_that_is_0_everywhere():
    net = tn.Network(tn.Conv2D(1, 4, 1), tn.ReLU(), tn.GlobalAveragePool(), tn.Dense(4, 2))
    net[0].W[...], net[0].b[...] = 1, np.array([0, -1, -2, -2])[:, None, None]
    x = np.zeros((2, 1, 3, 3))
    x[1, 0, 2, 0] = 1.5
    assert tn.diagnose(net, x, [0, 1]).rows[1].dead == 0.5  # two are above 0 at one pixel of one picture
    assert tn.diagnose(net, x[:1], [0]).rows[1].dead == 1


def test_dead_maps_are_counted(pictures):
    net = seeing()
    net[1].beta[...] = [1, -100, -100, -100]
    net[4].layers[1].beta[:2] = -100  # half of them, which is not yet warned of
    report = tn.diagnose(net, *pictures)
    assert by_name(report)["4 Residual / 2 ReLU()"].dead == 0.5
    assert report.warnings == [
        "2 ReLU(): 75 % of its maps are dead, 0 everywhere for all 16 rows; "
        'lower lr, or He initialization, init="he_normal"'
    ]


def test_a_gradient_shared_by_many_pixels_has_not_vanished(draw):
    net = tn.Network(tn.Conv2D(1, 2, 1), tn.GlobalAveragePool(), tn.Dense(2, 3), seed=1)
    report = tn.diagnose(net, draw.normal(size=(2, 1, 150, 150)), [0, 1])
    first, _, last = report.rows
    assert first.dy_size < last.dy_size / 1e4
    assert first.dy_length == pytest.approx(math.sqrt(2 * 150 * 150) * first.dy_size)
    assert report.warnings == []


@pytest.mark.parametrize(
    ("lose", "place"),
    [
        (lambda net: net[5].shortcut.W, "W of 5 Residual / 3 Conv2D(4, 6, 1, 2, 0) itself: nan"),
        (lambda net: net[4].layers[1].gamma, "gamma of 4 Residual / 1 BatchNorm(4) itself: nan"),
        (lambda net: net[1].variance, "variance of 1 BatchNorm(4) itself: nan"),
    ],
)
def test_what_is_lost_in_a_network_of_pictures_is_named(pictures, lose, place):
    net = seeing()
    lose(net).ravel()[0] = np.nan
    assert tn.diagnose(net, *pictures, tn.SGD(net)).not_finite == place


# -------------------------------------------------------------------------------------- not finite


def test_a_forward_that_overflows_is_named_with_what_went_in(rows):
    net = tn.mlp(6, [4], 3, seed=1)
    net[2].W[...] = 1e38
    report = tn.diagnose(net, 1000 * abs(rows[0]), rows[1], tn.SGD(net))
    assert re.fullmatch(
        r"forward of 2 Dense\(4, 3\): x up to \S+, W up to 1e\+38, b up to 0 in, inf out", report.not_finite
    )
    assert report.warnings[0].startswith(f"first not finite: {report.not_finite}; lower lr")


def test_inside_a_block_it_is_the_layer_inside(rows):
    net = tn.Network(tn.Residual(tn.Dense(6, 6), tn.Residual(tn.Dense(6, 6))), tn.Dense(6, 3))
    net[0].layers[1].layers[0].W[...] = 3e38
    report = tn.diagnose(net, 100 + abs(rows[0]), rows[1])
    assert report.not_finite.startswith("forward of 0 Residual / 1 Residual / 0 Dense(6, 6): x up to ")


def test_a_parameter_that_was_lost_before_is_named(rows):
    net = tn.mlp(6, [4], 3)
    net[2].b[0, 1] = np.inf
    assert tn.diagnose(net, *rows).not_finite == "b of 2 Dense(4, 3) itself: inf"
    net[0].W[...] = np.nan
    assert tn.diagnose(net, *rows).not_finite == "W of 0 Dense(6, 4) itself: nan"


def test_a_buffer_that_overflows_is_named():
    net = tn.Network(own_layers.BatchNorm(2), tn.Dense(2, 2))
    x = np.array([[1e25, 0], [-1e25, 1]])
    assert tn.diagnose(net, x, [0, 1]).not_finite.startswith("forward of 0 BatchNorm(2, 0.25), its var: x up to 1e+25")


def test_a_loss_that_overflows_is_named():
    net = tn.Network(tn.Dense(1, 1))
    net.theta[...] = 1e25, 0
    report = tn.diagnose(net, np.ones((2, 1)), np.zeros((2, 1)), tn.SGD(net), loss=tn.MeanSquaredError())
    assert report.not_finite == "loss: y up to 1e+25, t up to 0 in, inf out"
    assert report.loss == math.inf


def test_squares_of_large_parameters_do_not_overflow():
    net = tn.Network(tn.Dense(1, 1))
    net.theta[...] = 1e25, 0
    x, t = np.ones((2, 1)), np.zeros((2, 1))
    report = tn.diagnose(net, x, t, tn.SGD(net, lr=0.125), loss=tn.MeanSquaredError())
    assert report.rows[0].update == pytest.approx(math.hypot(0.25, 0.25))


def test_nothing_that_overflows_warns_of_itself():
    net = tn.Network(tn.Dense(1, 1))
    net.theta[...] = 3e38, 0
    place = net.backend
    ones = place.to_device(np.ones((2, 1), "float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first_not_finite(net, tn.MeanSquaredError(), ones, 0 * ones).startswith("loss: y up to 3e+38")


def test_a_gradient_that_overflows_is_named():
    net = tn.Network(tn.Dense(1, 1))
    net.theta[...] = 1e18 / 3e38, 0
    report = tn.diagnose(net, np.full((2, 1), 3e38), np.zeros((2, 1)), tn.SGD(net), loss=tn.MeanSquaredError())
    assert report.not_finite.startswith("backward of 0 Dense(1, 1), its dW: dy up to 1e+18, x up to 3e+38")
    deeper = tn.Network(tn.Dense(1, 1), tn.Residual(tn.Dense(1, 1)), tn.Dense(1, 1), seed=1)
    deeper.theta[...] = 0, 0, 3e38, 0, 3e38, 0
    report = tn.diagnose(deeper, np.ones((2, 1)), np.full((2, 1), 4.0), loss=tn.MeanSquaredError())
    assert report.not_finite.startswith("backward of 2 Dense(1, 1): dy up to 4")


def test_a_step_that_overflows_is_named(rows):
    net = tn.mlp(6, [4], 3)
    report = tn.diagnose(net, 1e3 * rows[0], rows[1], tn.SGD(net, lr=3e38))
    assert re.match(r"step of SGD, W of 0 Dense\(6, 4\): W up to \S+, b up to 0, dW up to ", report.not_finite)
    steep = tn.Network(tn.Dense(1, 1))
    steep.theta[...] = 1e-5, 0
    report = tn.diagnose(steep, np.full((1, 1), 1e20), np.zeros((1, 1)), tn.Adam(steep), loss=tn.MeanSquaredError())
    assert report.not_finite.startswith("step of Adam, its v: grad up to ")


def test_fit_says_where_a_loss_was_lost(rows):
    net = tn.mlp(6, [4], 3)
    history = stopped(net, tn.SGD(net, lr=1e30), *rows)
    assert re.fullmatch(
        r"the loss of epoch \d is (nan|inf); a lower lr, or smaller x and t, may help; "
        r"first not finite: W of 0 Dense\(6, 4\) itself: \w+",
        history.stopped,
    )


def test_fit_says_it_of_a_network_whose_theta_is_whole():
    flat = tn.Network(tn.Dense(1, 1))
    flat.theta[...] = 3e38, 0
    history = stopped(flat, tn.SGD(flat), np.ones((4, 1)), np.zeros((4, 1)), loss=tn.Huber(delta=10.0))
    assert "first not finite: loss: y up to 3e+38, t up to 0 in, inf out" in history.stopped


def test_fit_leaves_a_network_that_it_looks_at_alone(rows):
    net = tn.Network(tn.Dropout(0.5), tn.Dense(6, 3))
    net.theta[...] = np.nan
    stopped(net, tn.SGD(net), *rows, batch_size=16)
    assert (net.epoch, net[0].counter) == (1, 4)


def test_fit_takes_weights_too(rows):
    net = tn.mlp(6, [4], 3)
    net[0].W[...] = np.nan
    assert "W of 0 Dense(6, 4) itself: nan" in stopped(net, tn.SGD(net), *rows, class_weight={0: 2.0}).stopped


def stopped(net, optimizer, x, t, **options):
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="fit stops") as seen:
        history = tn.fit(net, optimizer, x, t, epochs=5, progress=False, **options)
    assert str(seen[0].message) == f"fit stops: {history.stopped}"
    return history


def test_a_finite_training_is_not_looked_at(rows, monkeypatch):
    monkeypatch.setattr("tinynet.training.listeners.first_not_finite", None)
    net = tn.mlp(6, [4], 3)
    assert tn.fit(net, tn.SGD(net), *rows, epochs=2, progress=False).stopped == ""


# ------------------------------------------------------------------------------------------- bad input


def test_an_optimizer_must_be_one_of_this_network(rows):
    net, other = tn.mlp(6, [4], 3), tn.mlp(6, [4], 3)
    with pytest.raises(TypeError, match=r"diagnose takes an optimizer such as Adam\(network\), or None; got 'adam'"):
        tn.diagnose(net, *rows, "adam")
    with pytest.raises(ValueError, match="diagnose takes an optimizer of the network that it looks at"):
        tn.diagnose(net, *rows, tn.SGD(other))


def test_x_and_t_are_refused_as_fit_refuses_them(rows):
    net = tn.mlp(6, [4], 3)
    with pytest.raises(ValueError, match="the network cannot take x"):
        tn.diagnose(net, rows[0][:, :3], rows[1])
    with pytest.raises(ValueError, match="x must be finite"):
        tn.diagnose(net, rows[0] * np.inf, rows[1])
    with pytest.raises(TypeError, match="loss must be a Loss"):
        tn.diagnose(net, *rows, loss="mse")


# ---------------------------------------------------------------------------------------------- looks

ROW = tn.LayerStep("0 Dense(4, 8)", (24, 8), 0.25, 1.5, None, None, None, None, 40, True, None)
REPORT = tn.Diagnosis(
    [
        ROW,
        tn.LayerStep("1 Residual", (24, 8), 0.5, 2.0, -1e-05, 0.001, None, None, 0, False, None),
        tn.LayerStep("1 Residual / 0 ReLU()", (24, 8), 0.5, 2.0, 0.001, 0.01, 0.625, None, 0, False, None),
        tn.LayerStep("1 Residual / 1 <mine>", (24, 8), 0.5, math.inf, 0.001, 0.0, None, None, 3, False, 0.123),
    ],
    0.6931471,
    ["a < b; a way out", "long " * 40],
)


LOOK = """
layer                     shape  y mean  y spread  dy mean  dy spread  dead  update
-----------------------------------------------------------------------------------
0 Dense(4, 8) (frozen)  (24, 8)    0.25       1.5
1 Residual              (24, 8)     0.5         2   -1e-05      0.001
  0 ReLU()              (24, 8)     0.5         2    0.001       0.01   62%
  1 <mine>              (24, 8)     0.5       inf    0.001          0          0.12
loss 0.69315
! a < b; a way out
! long long long long long long long long long long long long long long long long long long long long long long long
  long long long long long long long long long long long long long long long long long"""


def test_a_diagnosis_is_a_table_in_a_terminal():
    assert f"\n{REPORT!r}" == LOOK


def test_no_line_is_wider_than_a_terminal(rows):
    wide = tn.Diagnosis(
        [*REPORT.rows, tn.LayerStep("x" * 300, (256, 3, 32, 32), *[-1e-12] * 6, 5, False, 1e-12)], 1, []
    )
    assert max(map(len, f"{REPORT}\n{wide}".splitlines())) <= 120
    assert "xxx…  (256, 3, 32, 32)" in repr(wide)


def test_a_notebook_shows_the_same():
    page = REPORT._repr_html_()
    lines = re.findall("<tr>(.*?)</tr>", page)
    cells = [re.findall("<t[hd]>(.*?)</t[hd]>", line) for line in lines]
    assert [len(line) for line in cells] == [8] * 5
    assert cells[3] == ["&emsp;0 ReLU()", "(24, 8)", "0.5", "2", "0.001", "0.01", "62%", ""]
    assert "&lt;mine&gt;" in page
    assert "<mine>" not in page
    assert "<p>! a &lt; b; a way out</p>" in page


def test_the_frame_has_a_row_a_layer_and_a_column_a_field():
    frame = REPORT.to_frame()
    assert frame.layer.tolist() == [row.layer for row in REPORT.rows]
    assert list(frame) == list(vars(ROW))
    assert frame.dy_spread.tolist()[1:] == [0.001, 0.01, 0.0]


def test_the_picture_shows_both_spreads_by_layer(tmp_path):
    figure = REPORT.plot()
    y, dy = figure.axes
    assert [text.get_text() for text in y.get_yticklabels()] == [row.layer for row in REPORT.rows]
    assert [axes.get_xscale() for axes in (y, dy)] == ["log", "log"]
    drawn = [axes.get_lines()[0].get_xdata() for axes in (y, dy)]
    np.testing.assert_array_equal(drawn, [[1.5, 2, 2, np.nan], [np.nan, 0.001, 0.01, np.nan]])
    assert y.yaxis_inverted()
    figure.savefig(tmp_path / "diagnosis.png")


def test_a_picture_of_nothing_but_zeros_can_be_drawn(rows, tmp_path):
    tn.diagnose(tn.Network(tn.Dense(6, 3, "zeros")), *rows).plot().savefig(tmp_path / "zeros.png")
