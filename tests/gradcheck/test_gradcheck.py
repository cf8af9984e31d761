"""The gradient check: silent on what is right, loud and clear on planted faults, and honest about what it skipped."""

import math
import re
from collections import Counter

import numpy as np
import pytest

import tinynet as tn
from tinynet import functions

N, D, M = 5, 4, 3


def rows(draw, N=N, D=D):
    return draw.normal(size=(N, D)), draw.integers(0, M, N)


def statuses(report):
    return {entry.status for entry in report}


# ------------------------------------------------------------------------------------- what is right passes


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("init", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal"])
def test_a_right_network_passes(draw, init, full):
    x, t = rows(draw, N=7)
    assert tn.gradient_check(tn.mlp(D, [8, 6], M, dropout=[0.1, 0.3], init=init), x, t, full=full)


@pytest.mark.parametrize(
    ("head", "loss"),
    [
        ([], tn.SoftmaxCrossEntropy()),
        ([tn.Softmax()], tn.CrossEntropy()),
        ([tn.Softmax()], None),
        ([], tn.MeanSquaredError()),
        ([tn.ReLU()], tn.MeanSquaredError()),
    ],
    ids=["logits", "probabilities", "the usual loss", "regression", "regression on ReLU"],
)
def test_every_loss_passes_behind_its_network(draw, head, loss):
    x, _ = rows(draw)
    t = draw.dirichlet(np.ones(M), N)
    assert tn.gradient_check(tn.Network(tn.Dense(D, M), *(layer.copy() for layer in head)), x, t, loss, full=True)


def test_a_single_number_is_an_input_like_any_other(draw):
    def backward(dy, x, slope):
        return dy * slope, float((dy * x).sum())

    assert tn.gradient_check_function(lambda x, slope: slope * x, backward, draw.normal(size=(N, D)), 0.3)


def test_pixels_are_checked_as_fit_would_see_them(draw):
    pixels, t = draw.integers(0, 256, (N, D), dtype=np.uint8), draw.integers(0, M, N)
    report = tn.gradient_check(tn.mlp(D, [6], M), pixels, t)
    assert report
    assert report == tn.gradient_check(tn.mlp(D, [6], M), pixels * (1 / 255), t)


@pytest.mark.slow
def test_no_false_alarm_in_two_hundred_random_networks():
    passed = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        inputs, hidden, classes, N = draw.integers([2, 3, 2, 1], [7, 9, 6, 8]).tolist()
        net = tn.mlp(inputs, [hidden] * (1 + seed % 3), classes, dropout=[0.0, 0.3], seed=seed)
        x, t = draw.normal(size=(N, inputs)), draw.integers(0, classes, N)
        report = tn.gradient_check(net, x, t, full=seed % 2 == 0, seed=seed)
        assert "wrong" not in statuses(report), f"seed {seed}: {report}"
        passed += bool(report)
    assert passed > 180


# -------------------------------------------------------------------------------------- what is tested, and how


def test_a_full_check_covers_every_single_number(draw):
    net = tn.mlp(D, [2], M)
    report = tn.gradient_check(net, *rows(draw), full=True)
    shapes = {
        "0 Dense(4, 2).W": (4, 2),
        "0 Dense(4, 2).b": (1, 2),
        "2 Dense(2, 3).W": (2, 3),
        "2 Dense(2, 3).b": (1, 3),
    }
    for name, shape in (shapes | {"x": (N, D)}).items():
        assert [entry.index for entry in report if entry.name == name][: math.prod(shape)] == list(np.ndindex(shape))
        assert len([entry for entry in report if entry.name == name and entry.index is None]) in (3, 4)


def test_a_short_check_takes_three_random_directions_an_array(draw):
    report = tn.gradient_check(tn.mlp(D, [2], M), *rows(draw))
    counts = Counter(entry.name for entry in report)
    assert len(counts) == 5 + 1
    assert counts.pop("all together") == 1
    assert set(counts.values()) <= {3, 4}, "a fourth one moves only entries whose gradient is zero"
    assert len({entry.analytic for entry in report}) == len(report)


def test_the_numbers_compared_are_the_derivatives_themselves():
    report = tn.gradient_check_function(np.sin, lambda dy, x: dy * np.cos(x), np.array([0.0, 1.0]), full=True)
    ratio = report[0].analytic / report[1].analytic
    weights = tn.gradient_check_function(np.positive, lambda dy, x: dy, np.array([0.0, 1.0]), full=True)
    assert ratio == pytest.approx(weights[0].analytic / weights[1].analytic / np.cos(1))
    assert [entry.numeric for entry in report] == pytest.approx([entry.analytic for entry in report])
    assert all(entry.error < 1e-9 for entry in report)


def test_the_same_seed_gives_the_same_check(draw):
    net, (x, t) = tn.mlp(D, [6], M, dropout=[0.2]), rows(draw)
    assert tn.gradient_check(net, x, t, seed=3) == tn.gradient_check(net, x, t, seed=3)
    assert tn.gradient_check(net, x, t, seed=3) != tn.gradient_check(net, x, t, seed=4)


def test_the_network_handed_in_is_left_as_it_was(draw):
    def state():
        return net.theta.tobytes(), net.grad.tobytes(), net.epoch, net.dtype, [dict(vars(layer)) for layer in net]

    x, t = rows(draw)
    net = tn.mlp(D, [6], M, dropout=[0.2])
    tn.fit(net, tn.Adam(net), x, t, epochs=2)
    for layer in net:
        layer.memory = None
    before = repr(state())
    tn.gradient_check(net, x, t, full=True)
    assert repr(state()) == before


def test_the_layer_handed_in_is_left_as_it_was(draw):
    net = tn.Network(tn.Dense(D, M), tn.Dropout(0.5))
    theta = net.theta.copy()
    for layer, width in zip(net, (D, M), strict=True):
        assert tn.gradient_check_layer(layer, draw.normal(size=(N, width)))
    assert (net.theta == theta).all()
    assert (net.grad == 0).all()
    assert net[1].counter == 0


def test_the_arrays_handed_in_are_never_written_to(draw):
    x, t = draw.normal(size=(N, D)), draw.dirichlet(np.ones(D), N)
    x.flags.writeable = t.flags.writeable = False
    assert tn.gradient_check(tn.Network(tn.Dense(D, D), dtype="float64"), x, t)
    assert tn.gradient_check_layer(tn.Softmax(), x)
    assert tn.gradient_check_loss(tn.MeanSquaredError(), x, t)
    assert tn.gradient_check_function(np.multiply, lambda dy, x, t: (dy * t, dy * x), x, t)


def test_dropout_keeps_one_mask_through_the_check(draw):
    report = tn.gradient_check_layer(tn.Dropout(0.5), draw.normal(size=(20, D)), full=True)
    dropped = sum(entry.analytic == entry.numeric == 0 for entry in report)
    assert report
    assert 20 < dropped < 60


# ------------------------------------------------------------------------------------------- planted faults


def faulty(spoil, forget=False):
    """A Dense with one fault in its dW."""

    class Faulty(tn.Dense):
        def backward_parameters(self, dy):
            if forget:
                self.db[...] = dy.sum(axis=0)
                return
            super().backward_parameters(dy)
            self.dW[...] = spoil(self.dW)

    return Faulty


FAULTS = {
    "twice": (faulty(lambda dW: 2 * dW), D, M, "2 times too large"),
    "half": (faulty(lambda dW: dW / 2), D, M, "2 times too small: a factor 2 is missing"),
    "sum": (faulty(lambda dW: dW * N), D, M, "N = 5 times too large: a sum over the batch where forward has the mean"),
    "mean of mean": (faulty(lambda dW: dW / N), D, M, "N = 5 times too small: the mean over the batch is taken twice"),
    "sign": (faulty(np.negative), D, M, "the sign is wrong"),
    "nothing": (faulty(np.zeros_like), D, M, "backward gives zero"),
    "transposed": (faulty(lambda dW: dW.T.copy()), D, D, "transposed"),
    "transposed, not square": (faulty(lambda dW: dW.T.reshape(dW.shape)), D, M, "transposed"),
    "not written": (faulty(None, forget=True), D, M, "not written; write into the view"),
}


def assert_only_hint(report, hint, name):
    assert not report
    assert {entry.name for entry in report.failures} == {name}
    assert list(report.hints.values()) == [[name]]
    assert hint in next(iter(report.hints))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_network_is_found_and_named(draw, fault, full):
    kind, inputs, outputs, hint = FAULTS[fault]
    net = tn.Network(tn.Dense(D, inputs), tn.ReLU(), kind(inputs, outputs), seed=1)
    report = tn.gradient_check(net, draw.normal(size=(N, D)), draw.integers(0, outputs, N), full=full)
    name = f"2 Faulty({inputs}, {outputs}).W"
    assert_only_hint(report, hint, name)


def faulty_loss(spoil):
    class Faulty(tn.MeanSquaredError):
        def backward(self):
            return spoil(super().backward())

    return Faulty()


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda dz: dz / 2, "a factor 2 is missing"),
        (lambda dz: dz * N, "N = 5 times too large"),
        (lambda dz: -dz, "the sign is wrong"),
        (np.zeros_like, "backward gives zero"),
    ],
    ids=["half", "sum", "sign", "nothing"],
)
def test_a_fault_in_a_loss_is_found_and_named(draw, spoil, hint):
    report = tn.gradient_check_loss(faulty_loss(spoil), *draw.normal(size=(2, N, M)))
    assert_only_hint(report, hint, "z")


def loss_of(f, slope):
    """A loss of z alone."""

    class Own(tn.Loss):
        def forward(self, z, t):
            self.memory = z
            return f(z)

        def backward(self):
            return slope(self.memory)

    return Own()


def test_a_large_loss_of_small_slopes_may_be_rounded(draw):
    wave = loss_of(lambda z: 1100 + 2.5e-6 * np.sin(2e4 * z).sum(), lambda z: 0.05 * np.cos(2e4 * z))
    assert statuses(tn.gradient_check_loss(wave, draw.normal(size=(20, 1)), 0, full=True)) == {"ok"}


WRONG_SLOPES = {
    "beside a kink too slight for so large a loss": (lambda z: 1e4 + 1e-5 * abs(z).sum(), np.ones_like),
    "a jump of rounding's size": (lambda z: 1 + (z**4 + 2e-14 * (abs(z) > 1e-6)).sum(), np.ones_like),
    "once closer with a smaller step": (lambda z: 1e-4 * np.sin(1e4 * z).sum(), lambda z: 1.1 * np.cos(1e4 * z)),
}


@pytest.mark.parametrize("name", WRONG_SLOPES)
def test_a_wrong_slope_is_not_taken_for_a_kink(name):
    assert statuses(tn.gradient_check_loss(loss_of(*WRONG_SLOPES[name]), np.zeros((1, 1)), 0, full=True)) == {"wrong"}


def test_a_layer_that_replaces_its_parameter_is_told(draw):
    class Replacing(tn.Dense):
        def forward(self, x, train=True):
            self.W = self.W + 0
            return super().forward(x, train)

    with pytest.raises(ValueError, match=r"W\[\.\.\.\] ="):
        tn.gradient_check_layer(Replacing(D, M), rows(draw)[0])


@pytest.mark.parametrize("place", list(np.ndindex(D, M)))
def test_one_part_in_ten_thousand_in_one_entry_is_found(draw, place):
    def spoil(dW):
        dW[place] *= 1 + 1e-4
        return dW

    report = tn.gradient_check(tn.Network(faulty(spoil)(D, M)), *rows(draw), full=True)
    found = [entry for entry in report.failures if entry.index]
    assert [(entry.name, entry.index) for entry in found] == [("0 Faulty(4, 3).W", place)]
    assert found[0].error == pytest.approx(1e-4, rel=0.01)
    assert "1 of 12 entries are wrong: they are 1.0001 times too large" in next(iter(report.hints))


def test_a_batch_of_one_is_not_blamed_on_its_size(draw):
    report = tn.gradient_check(tn.Network(faulty(lambda dW: 1.00002 * dW)(D, M)), *rows(draw, N=1))
    assert list(report.hints) == ["1.00002 times too large"]


def test_one_fault_in_all_arrays_is_one_hint_for_everywhere(draw):
    report = tn.gradient_check_function(np.add, lambda dy, x, y: (-dy, -dy), *draw.normal(size=(2, N, M)))
    assert report.hints == {"the sign is wrong": ["input 0", "input 1"]}
    assert repr(report).endswith("hint: the sign is wrong (everywhere)")


def test_a_nan_is_no_gradient(draw):
    report = tn.gradient_check_function(np.sin, lambda dy, x: np.full_like(x, np.nan), draw.normal(size=3))
    assert not report
    assert statuses(report) == {"wrong"}


def test_a_nan_on_its_way_back_is_blamed_on_no_layer_that_only_reads_it(draw):
    class Lost(tn.ReLU):
        def backward(self, dy):
            return dy * np.nan

    report = tn.gradient_check(tn.Network(tn.Dense(D, D), Lost(), tn.Dense(D, M)), *rows(draw))
    assert {entry.name for entry in report.failures} == {"0 Dense(4, 4).W", "0 Dense(4, 4).b", "x"}


# ------------------------------------------------------------------------------------------ kinks and zeros


RELU_AT_ZERO = np.array([[0.0, 1.0, 0.0, -2.0], [0.5, 0.0, -1.0, 0.0]])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("slope", "is_right"), [(0, 1), (0.5, 1), (1, 1), (7, 0), (-3, 0), (1.1, 0), (-0.1, 0)])
def test_a_slope_at_a_kink_lies_between_the_slopes_on_both_sides(slope, is_right, full):
    def backward(dy, x):
        return dy * np.where(x == 0, slope, x > 0)

    report = tn.gradient_check_function(functions.relu, backward, RELU_AT_ZERO, full=full)
    assert bool(report) == is_right
    hint = "wrong at a kink: the claimed slope is not between the slopes on both sides"
    assert list(report.hints) == ([] if is_right else [hint])


@pytest.mark.parametrize("share", [[1, 0, 0], [0, 0, 1], [1 / 3] * 3, [1, 1, 1], [0.5, 0.5, 0.5], [-1, 1, 1]])
def test_tied_entries_share_the_gradient_of_their_maximum(share):
    def backward(dy, x):
        largest = x == x.max(axis=1, keepdims=True)
        return dy[:, None] * np.where(largest.all(axis=1, keepdims=True), share, largest)

    report = tn.gradient_check_function(lambda x: x.max(axis=1), backward, np.full((2, 3), 0.7), full=True)
    assert bool(report) == (sum(share) == 1 and min(share) >= 0)


def test_two_tied_inputs_share_the_gradient():
    x = np.array([0.5, -1.0])
    assert tn.gradient_check_function(np.maximum, lambda dy, x, y: (dy * (x >= y), dy * (x < y)), x, x)
    report = tn.gradient_check_function(np.maximum, lambda dy, x, y: (dy * (x >= y), dy * (x <= y)), x, x)
    assert list(report.hints) == ["wrong at a kink, where all arrays move at once"]


def test_relus_that_add_up_at_their_kinks_raise_no_alarm(draw):
    W = draw.normal(size=(D, M))
    report = tn.gradient_check_function(
        lambda x: functions.relu(x) @ W, lambda dy, x: (dy @ W.T) * (x > 0), np.zeros((N, D)), full=True
    )
    assert report
    assert "kink" in statuses(report)


def test_black_images_before_zero_biases_raise_no_alarm(draw):
    x, t = rows(draw)
    x[::2] = 0
    assert tn.gradient_check(tn.mlp(D, [6], M), x, t, full=True)


@pytest.mark.parametrize("slope", [1, 1e-2, 1e-4, 1e-6, 1e-8])
def test_a_corner_is_a_kink_however_flat(slope):
    def backward(dy, x):
        return slope * dy * (x > 0)

    report = tn.gradient_check_function(lambda x: slope * np.maximum(x, 0), backward, np.array([0.0, 1.0]), full=True)
    assert report.failures == []


@pytest.mark.parametrize("distance", [1e-9, 1e-7, 9.6e-7, 3e-6, 1e-4])
def test_a_corner_close_by_is_no_fault(distance):
    def backward(dy, x):
        return dy * (1 + (x > distance))

    report = tn.gradient_check_function(lambda x: x + np.maximum(x - distance, 0), backward, np.zeros(1), full=True)
    assert report.failures == []


def test_a_jump_of_the_curvature_is_no_fault():
    def backward(dy, x):
        return dy * (0.01 + 2 * np.maximum(x, 0))

    report = tn.gradient_check_function(
        lambda x: 0.01 * x + np.maximum(x, 0) ** 2, backward, np.array([0.0, 1.0]), full=True
    )
    assert report


def test_a_wrong_slope_beside_a_kink_is_not_excused(draw):
    x = draw.normal(size=(N, D))
    x[0, 0] = 0
    report = tn.gradient_check_function(functions.relu, lambda dy, x: 2 * dy * (x > 0), x, full=True)
    found = {entry.index for entry in report.failures if entry.index}
    assert found == {tuple(index) for index in np.argwhere(x > 0).tolist()}


def test_where_every_slope_is_zero_nothing_was_tested(draw):
    report = tn.gradient_check_function(lambda x: 0 * x, lambda dy, x: 0 * dy, draw.normal(size=(N, D)))
    assert not report
    assert statuses(report) == {"zero"}
    assert report.failures == []
    assert repr(report).startswith("gradient check FAILED: nothing was tested, every slope is zero")


def test_a_bias_before_a_normalization_is_zero_by_symmetry(draw):
    net = tn.Network(tn.Dense(D, 6), tn.BatchNorm(6), tn.ReLU(), tn.Dense(6, M), seed=1)
    report = tn.gradient_check(net, *rows(draw))
    assert report
    assert {entry.name for entry in report if entry.status == "zero"} == {"0 Dense(4, 6).b"}
    assert "zero (f does not depend on it)" in repr(report)


@pytest.mark.parametrize(("slope", "is_right"), [(1, True), (2, False)])
def test_what_is_zero_only_here_is_tested_elsewhere(draw, slope, is_right):
    """Where all numbers are negative, each ReLU is dead."""

    class Doubling(tn.ReLU):
        def backward(self, dy):
            return slope * super().backward(dy)

    assert bool(tn.gradient_check_layer(Doubling(), -1 - abs(draw.normal(size=(N, D))))) == is_right


def test_zero_but_for_rounding_is_zero(draw):
    def sums(x):
        return functions.softmax(x).sum(axis=-1)

    def backward(dy, x):
        y = functions.softmax(x)
        return y * dy[:, None] - y * (y * dy[:, None]).sum(axis=-1, keepdims=True)

    report = tn.gradient_check_function(sums, backward, draw.normal(size=(N, D)))
    assert statuses(report) == {"zero"}


def test_weights_of_zero_hide_no_layer_before_them(draw):
    net = tn.Network(tn.Dense(D, 6), tn.ReLU(), tn.Dense(6, M, "zeros"))
    assert tn.gradient_check(net, *rows(draw))


def test_rounding_noise_is_no_kink(draw):
    x = 1e4 + draw.normal(size=N)
    report = tn.gradient_check_function(
        lambda x: (x * x).mean() - x.mean() ** 2, lambda dy, x: 17 * dy * 2 * (x - x.mean()) / N, x
    )
    assert not report
    assert report.failures


@pytest.mark.parametrize("t", [1.0009, 0.9991])
def test_targets_that_sum_almost_to_one_are_taken_as_one(draw, t):
    x, labels = rows(draw)
    assert tn.gradient_check(tn.mlp(D, [6], M), x, t * np.eye(M)[labels])


def test_a_backward_that_forgets_to_return_is_told_so(draw):
    class Forgetful(tn.ReLU):
        def backward(self, dy):
            super().backward(dy)

    with pytest.raises(TypeError, match=r"Forgetful\(\)\.backward returned None"):
        tn.gradient_check_layer(Forgetful(), draw.normal(size=(N, D)))


def test_a_forward_that_writes_into_x_is_told_so(draw):
    class Doubling(tn.Layer):
        def forward(self, x, train=False):
            x *= 2
            return x

        def backward(self, dy):
            return 2 * dy

    with pytest.raises(ValueError, match="forward wrote into x"):
        tn.gradient_check_layer(Doubling(), draw.normal(size=(N, D)))


def test_a_function_that_is_not_finite_has_nothing_to_check():
    with pytest.raises(ValueError, match="f is nan here"):
        tn.gradient_check_function(np.sqrt, lambda dy, x: dy, np.array([np.nan, 1.0]))


def test_zeros_in_a_part_of_an_array_are_no_fault(draw):
    x, t = rows(draw)
    x[:, 0] = 0
    assert tn.gradient_check(tn.Network(tn.Dense(D, M)), x, t, full=True)


# ------------------------------------------------------------------------------------------------- contracts


def test_a_gradient_for_an_integer_input_is_not_looked_at(draw):
    report = tn.gradient_check_function(
        np.multiply, lambda dy, x, n: (dy * n, "anything"), draw.normal(size=3), np.arange(3)
    )
    assert {entry.name for entry in report} == {"input 0"}


def test_none_leaves_an_input_out(draw):
    x, y = draw.normal(size=(2, N))
    report = tn.gradient_check_function(np.multiply, lambda dy, x, y: (None, dy * x), x, y)
    assert report
    assert {entry.name for entry in report} == {"input 1"}


@pytest.mark.parametrize("given", [lambda dy, x, y: dy, lambda dy, x, y: (dy, dy, dy)], ids=["one", "three"])
def test_as_many_gradients_as_inputs_are_asked_for(draw, given):
    with pytest.raises(ValueError, match=r"backward must return 2 gradients, one for each input, got [13]"):
        tn.gradient_check_function(np.add, given, *draw.normal(size=(2, N)))


def test_a_list_of_gradients_is_as_good_as_a_tuple(draw):
    assert tn.gradient_check_function(np.add, lambda dy, x, y: [dy, dy], *draw.normal(size=(2, N)))


def test_a_gradient_has_the_shape_of_its_input(draw):
    with pytest.raises(ValueError, match=r"the gradient of input 0 must have its shape \(5, 4\), got \(4,\)"):
        tn.gradient_check_function(np.sin, lambda dy, x: (dy * np.cos(x)).sum(axis=0), draw.normal(size=(N, D)))


def test_dx_has_the_shape_of_x(draw):
    class Shrinking(tn.ReLU):
        def backward(self, dy):
            return super().backward(dy)[:1]

    with pytest.raises(ValueError, match=r"the gradient of x must have its shape \(5, 4\), got \(1, 4\)"):
        tn.gradient_check_layer(Shrinking(), draw.normal(size=(N, D)))


class Overwriting(tn.Dropout):
    def backward(self, dy):
        dy *= self.recall()
        return dy


@pytest.mark.parametrize(
    "check",
    [
        lambda x: tn.gradient_check_layer(Overwriting(0.5), x),
        lambda x: tn.gradient_check_function(np.sin, lambda dy, x: np.multiply(dy, np.cos(x), out=dy), x),
        lambda x: tn.gradient_check(tn.Network(tn.Dense(D, D), Overwriting(0.5), tn.Dense(D, D)), x, np.arange(N) % D),
    ],
    ids=["layer", "function", "network"],
)
def test_backward_must_not_write_into_dy(draw, check):
    with pytest.raises(ValueError, match="wrote into dy"):
        check(draw.normal(size=(N, D)))


# --------------------------------------------------------------------------------------------- the report


def test_a_report_that_passed_says_so(draw):
    lines = repr(tn.gradient_check(tn.Network(tn.Dense(D, M)), *rows(draw))).splitlines()
    assert lines[0] == "gradient check passed: 10 comparisons, 11 other checks, 0 failed"
    assert re.fullmatch(r"  0 Dense\(4, 3\)\.W +3 x +1\d digits \(relative error \d\.\de-1\d\)   ok", lines[1])
    assert [line.strip() for line in lines[5:-1]] == [
        f"{name:<28}     ok"
        for name in (
            "a second call gives the same",
            "float64",
            "another x",
            "Fortran-ordered x and dy",
            "strided x and dy",
            "read-only x and dy",
            "N = 1",
            "N = 6",
            "parameters stay",
            "first layer, without dx",
            "float32",
        )
    ]
    assert lines[-1].startswith("worst: ")


def test_a_report_that_failed_says_where_how_much_and_why(draw):
    text = repr(tn.gradient_check(tn.Network(faulty(lambda dW: 2 * dW)(D, M)), *rows(draw)))
    assert text.startswith("gradient check FAILED: 9 comparisons, 3 other checks, 3 failed")
    assert "0 digits (relative error 5.0e-01)   wrong" in text
    assert "worst: 0 Faulty(4, 3).W: backward " in text
    assert text.endswith("hint: 2 times too large (0 Faulty(4, 3).W)")


def test_a_comparison_in_a_full_check_names_its_coordinate(draw):
    report = tn.gradient_check_function(np.sin, lambda dy, x: dy * np.cos(x), draw.normal(size=(N, D)), full=True)
    assert str(report[5]).startswith("input 0[1, 1]: backward ")
    assert ", difference quotient " in str(report[5])


# ------------------------------------------------------------------------------------------- numbers in the report


def test_a_short_check_is_the_usual_one(draw):
    x = draw.normal(size=(N, D))
    assert len(tn.gradient_check_layer(tn.Tanh(), x)) == 3
    assert len(tn.gradient_check_loss(tn.MeanSquaredError(), x, x + 1)) == 3
    assert len(tn.gradient_check_function(np.tanh, lambda dy, x: dy / np.cosh(x) ** 2, x)) == 3


def test_a_network_is_moved_a_little_off_its_kinks():
    """With x = 0 the outputs are the biases, which are 0 before."""

    class Noting(tn.MeanSquaredError):
        def forward(self, z, t):
            seen.append(abs(z[0]).max())
            return super().forward(z, t)

    seen = []
    tn.gradient_check(tn.Network(tn.Dense(1, 200)), np.zeros((2, 1)), np.ones((2, 200)), Noting())
    assert 1e-3 < seen[0] < 6e-3


def test_random_directions_have_length_one():
    report = tn.gradient_check_function(np.positive, lambda dy, x: dy, np.zeros(1))
    np.testing.assert_allclose([abs(entry.analytic) for entry in report], abs(report[0].analytic), rtol=1e-12)
    along_the_axis = tn.gradient_check_function(np.positive, lambda dy, x: dy, np.zeros(1), full=True)
    assert abs(report[0].analytic) == pytest.approx(abs(along_the_axis[0].analytic), rel=1e-12)


def test_an_error_is_relative_to_the_derivative():
    def steep(dy, x):
        return 1e6 * dy * np.cos(x)

    report = tn.gradient_check_function(lambda x: 1e6 * np.sin(x), steep, np.ones(1), full=True)
    assert report
    assert 0 < report.worst.error < 1e-8


def test_the_error_of_what_is_wrong_is_that_of_the_best_step():
    """At the largest step sin(1000 x) is far from straight."""
    report = tn.gradient_check_function(lambda x: np.sin(1e3 * x), lambda dy, x: 1001 * dy, np.zeros(1), full=True)
    assert statuses(report) == {"wrong"}
    assert report.worst.error == pytest.approx(1 / 1001, rel=1e-3)


@pytest.mark.parametrize(("offset", "factor"), [(0, 1 + 1e-5), (1e4, 1.0001), (1e6, 1.001), (1e8, 1.01)])
@pytest.mark.parametrize("scale", [1e-12, 1, 1e12])
def test_an_error_is_relative_to_the_gradient_and_not_to_f(draw, offset, factor, scale):
    def check(factor):
        return tn.gradient_check_function(
            lambda x: scale * (offset + np.sin(x)), lambda dy, x: factor * scale * dy * np.cos(x), draw.normal(size=D)
        )

    assert check(1)
    assert not check(factor)


@pytest.mark.parametrize("full", [False, True])
def test_a_small_term_beside_a_large_one_is_tested(full):
    sizes = np.array([1e5, 1e-3])
    for factor in (1, 2, 0):
        report = tn.gradient_check_function(
            lambda x: (sizes * np.sin(x)).sum(),
            lambda dy, x, factor=factor: dy * sizes * [1, factor] * np.cos(x),
            np.array([0.3, 0.5]),
            full=full,
        )
        assert bool(report) == (factor == 1)


def test_what_rounding_hides_is_too_noisy_to_tell(draw):
    report = tn.gradient_check_function(lambda x: 1e14 + np.sin(x), lambda dy, x: dy * np.cos(x), draw.normal(size=D))
    assert not report
    assert statuses(report) <= {"noisy", "zero"}
    assert "noisy (too noisy to tell: rounding hides the slope)" in repr(report)


def test_the_tolerance_and_the_number_of_directions_can_be_chosen(draw):
    def check(**settings):
        return tn.gradient_check_function(np.sin, lambda dy, x: 1.001 * dy * np.cos(x), draw.normal(size=D), **settings)

    assert not check()
    assert check(tolerance=1e-2)
    assert [len(check(directions=count)) for count in (1, 2, 7)] == [1, 2, 7]


def test_complex_numbers_are_refused(draw):
    x = draw.normal(size=D)
    with pytest.raises(TypeError, match="takes real numbers, got complex ones; check the real and imaginary parts"):
        tn.gradient_check_function(np.sin, lambda dy, x: dy, x + 1j)
    with pytest.raises(TypeError, match="takes real numbers, got complex ones"):
        tn.gradient_check_function(lambda x: x * 1j, lambda dy, x: dy, x)


def test_a_gradient_of_a_flat_function_is_wrong_and_not_zero(draw):
    report = tn.gradient_check_function(lambda x: 0 * x, lambda dy, x: 0.01 * dy, draw.normal(size=(N, D)))
    assert statuses(report) == {"wrong"}


def test_without_a_gradient_there_is_nothing_to_test():
    with pytest.raises(ValueError, match=r"^there is nothing to test: no input of floats"):
        tn.gradient_check_function(np.positive, lambda dy, x: dy, np.arange(3))
