"""The border: what a user hands in is taken as it is meant, refused by name, and never written to."""

import warnings

import numpy as np
import pandas
import pytest

import tinynet as tn
from tinynet.training import evaluation
from tinynet.training.input_validation import rows_in, targets_in

N, D, K = 6, 4, 3
ROWS = np.linspace(-1, 1, N * D).reshape(N, D)
LABELS = np.arange(N) % K
ONE_HOT = np.eye(K)[LABELS]


def network(**options):
    return tn.mlp(D, [5], K, **options)


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


DOORS = {
    "fit": lambda net, x, t, loss: tn.fit(net, tn.SGD(net), x, t, loss=loss, epochs=1),
    "validation": lambda net, x, t, loss: tn.fit(
        net, tn.SGD(net), ROWS, LABELS if loss.classifies else ONE_HOT, loss=loss, epochs=1, validation=(x, t)
    ),
    "evaluate": lambda net, x, t, loss: tn.evaluate(net, x, t, loss),
    "gradient_check": lambda net, x, t, loss: tn.gradient_check(net, x, t, loss),
}
WRONG_ROWS = {
    "a single row": (ROWS[0], ValueError, r"x must be \(N, \.\.\.\) .* got \(4,\); x\[None\] makes one row of it"),
    "images": (np.zeros((N, 2, 2)), ValueError, r"takes x \(N, 4\), but gets \(N, 2, 2\); a Flatten\(\) in front"),
    "a number": (1.0, ValueError, r"x must be \(N, \.\.\.\) with at least one row, got \(\)"),
    "no row": (ROWS[:0], ValueError, r"x must be \(N, \.\.\.\) with at least one row, got \(0, 4\)"),
    "another width": (ROWS[:, 1:], ValueError, r"Dense\(4, 5\) takes x \(N, 4\), but gets \(N, 3\)"),
    "integers": (LABELS.repeat(D).reshape(N, D), TypeError, r"x must be floats, or uint8 pixels .* got int64"),
    "truth values": (ROWS > 0, TypeError, "got bool"),
    "complex numbers": (ROWS + 0j, TypeError, "got complex128"),
    "objects": (ROWS.astype(object), TypeError, "got object"),
    "words": (ROWS.astype(str), TypeError, "got <U"),
    "a NaN": (changed(ROWS, (3, 1), np.nan), ValueError, "x must be finite, got nan in row 3, column 1$"),
    "an infinity": (changed(ROWS, (5, 0), -np.inf), ValueError, "x must be finite, got -inf in row 5"),
}
WRONG_CLASSES = {
    "label K": (changed(LABELS, 2, K), ValueError, r"labels must lie in 0 \.\. 2, got 3 in row 2"),
    "label -1": (changed(LABELS, 4, -1), ValueError, r"labels must lie in 0 \.\. 2, got -1 in row 4"),
    "label 255 of uint8": (changed(LABELS.astype(np.uint8), 0, 255), ValueError, "got 255 in row 0"),
    "float labels": (
        LABELS / 1,
        TypeError,
        r"labels must be whole numbers, got float64; t\.astype\(int\) makes them so$",
    ),
    "words": (LABELS.astype(str), TypeError, "labels must be whole numbers, got <U"),
    "a label too few": (LABELS[1:], ValueError, "x has 6 rows, but t has 5 labels"),
    "a column of labels": (LABELS[:, None], ValueError, r"targets \(6,\) of labels or \(6, 3\) of rows, got \(6, 1\)"),
    "a row too few": (ONE_HOT[1:], ValueError, r"\(6, 3\) of rows, got \(5, 3\)"),
    "a class too many": (np.eye(4)[LABELS], ValueError, r"\(6, 3\) of rows, got \(6, 4\)"),
    "a row that sums to two": (changed(ONE_HOT, 2, [1, 1, 0]), ValueError, r"sum to one, got \[1\. 1\. 0\.\] in row 2"),
    "a negative row": (changed(ONE_HOT, 1, [-1, 1, 1]), ValueError, "at least 0 and sum to one, .* in row 1"),
    "a NaN": (changed(ONE_HOT, (3, 0), np.nan), ValueError, "in row 3"),
}
WRONG_ARRAYS = {
    "labels": (LABELS, ValueError, r"MeanSquaredError takes targets \(6, 3\), got \(6,\)"),
    "one column": (ONE_HOT[:, :1], ValueError, r"MeanSquaredError takes targets \(6, 3\), got \(6, 1\)"),
    "a NaN": (changed(ONE_HOT, (3, 0), np.nan), ValueError, "t must be finite, got nan in row 3"),
}
WELCOME_ROWS = {
    "list": ROWS.tolist(),
    "DataFrame": pandas.DataFrame(ROWS),
    "read-only": np.frombuffer(ROWS.tobytes()).reshape(N, D),
    "Fortran order": np.asfortranarray(ROWS),
    "every other column": ROWS.repeat(2, axis=1)[:, ::2],
    "long double": ROWS.astype(np.longdouble),
}
WELCOME_TARGETS = {
    "list": LABELS.tolist(),
    "Series": pandas.Series(LABELS),
    "int8": LABELS.astype(np.int8),
    "uint64": LABELS.astype(np.uint64),
    "one-hot floats": ONE_HOT,
    "one-hot integers": ONE_HOT.astype(int),
    "one-hot truth values": ONE_HOT.astype(bool),
    "DataFrame": pandas.DataFrame(ONE_HOT),
}


@pytest.mark.parametrize("use", [*DOORS.values(), lambda net, x, *_: tn.predict(net, x)], ids=[*DOORS, "predict"])
@pytest.mark.parametrize("name", WRONG_ROWS)
def test_wrong_rows_are_refused(use, name):
    x, error, message = WRONG_ROWS[name]
    with pytest.raises(error, match=message):
        use(network(), x, LABELS, tn.SoftmaxCrossEntropy())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", WRONG_CLASSES)
def test_wrong_classes_are_refused(door, name):
    t, error, message = WRONG_CLASSES[name]
    with pytest.raises(error, match=message):
        DOORS[door](network(), ROWS, t, tn.SoftmaxCrossEntropy())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_wrong_arrays_for_mean_squared_error_are_refused(door, name):
    t, error, message = WRONG_ARRAYS[name]
    with pytest.raises(error, match=message):
        DOORS[door](network(), ROWS, t, tn.MeanSquaredError())


COLUMN = ROWS[:, :1] ** 2
WRONG_COLUMNS = {
    "a vector of values": (
        tn.Huber(),
        ROWS[:, 0],
        ValueError,
        r"Huber takes targets \(6, 1\), got \(6,\); t\[:, None\] ",
    ),
    "label 2": (tn.BinaryCrossEntropy(), LABELS, ValueError, r"labels must lie in 0 \.\. 1, got 2 in row 2$"),
    "a vector of chances": (
        tn.BinaryCrossEntropy(),
        COLUMN[:, 0],
        TypeError,
        r"whole numbers, got float64; t\.astype\(int\) makes them so; t\[:, None\] takes them as probabilities$",
    ),
    "chances of two classes": (
        tn.BinaryCrossEntropy(),
        np.hstack([COLUMN, 1 - COLUMN]),
        ValueError,
        r"BinaryCrossEntropy takes targets \(6,\) of labels or \(6, 1\) of rows, got \(6, 2\)$",
    ),
    "more than certain": (
        tn.BinaryCrossEntropy(),
        changed(COLUMN, (3, 0), 1.5),
        ValueError,
        r"BinaryCrossEntropy takes t between 0 and 1, got 1\.5 in row 3$",
    ),
    "less than impossible": (
        tn.BinaryCrossEntropy(),
        changed(COLUMN, (4, 0), -0.5),
        ValueError,
        r"got -0\.5 in row 4$",
    ),
    "a NaN": (tn.BinaryCrossEntropy(), changed(COLUMN, (3, 0), np.nan), ValueError, "got nan in row 3$"),
    "classes for one output": (
        tn.SoftmaxCrossEntropy(),
        LABELS,
        ValueError,
        r"got one: use loss=BinaryCrossEntropy\(\) for two classes, MeanSquaredError\(\) for values$",
    ),
}


@pytest.mark.parametrize("name", WRONG_COLUMNS)
def test_wrong_targets_of_one_output_are_refused(name):
    loss, t, error, message = WRONG_COLUMNS[name]
    with pytest.raises(error, match=message):
        tn.evaluate(tn.mlp(D, [], 1), ROWS, t, loss)


@pytest.mark.parametrize(
    ("end", "loss", "message"),
    [
        ([tn.Dense(D, 3)], tn.BinaryCrossEntropy(), "a network of one output, got 3: use SoftmaxCrossEntropy$"),
        ([tn.Dense(D, 1), tn.Sigmoid()], tn.BinaryCrossEntropy(), "takes logits, .* ends in Sigmoid: leave it out$"),
        (
            [tn.Dense(D, 3), tn.Softmax()],
            tn.SoftmaxCrossEntropy(),
            "takes logits, .* ends in Softmax: use CrossEntropy$",
        ),
        ([tn.Dense(D, 1), tn.Softmax()], tn.CrossEntropy(), "got one: use loss=BinaryCrossEntropy"),
        ([tn.Dense(D, 3)], tn.CrossEntropy(), "takes probabilities, .* ends in Dense: use SoftmaxCrossEntropy$"),
    ],
)
def test_a_loss_that_does_not_fit_the_networks_end_is_refused(end, loss, message):
    with pytest.raises(ValueError, match=message):
        tn.evaluate(tn.Network(*(layer.copy() for layer in end)), ROWS, np.zeros(N, int), loss)


@pytest.mark.parametrize(
    "t", [ONE_HOT.astype(str), ONE_HOT.astype(object), ONE_HOT + 0j], ids=["str", "object", "complex"]
)
@pytest.mark.parametrize("loss", [tn.SoftmaxCrossEntropy, tn.MeanSquaredError])
def test_targets_that_are_no_real_numbers_are_refused_by_name(t, loss):
    with pytest.raises(TypeError, match=f"t must be .* got {t.dtype}"):
        tn.evaluate(network(), ROWS, t, loss())


def test_numbers_too_large_for_float32_are_not_finite_in_it():
    with pytest.raises(ValueError, match=r"x must be finite.* in row 2"):
        tn.predict(network(), changed(ROWS, (2, 0), 1e300))
    with pytest.raises(ValueError, match=r"t must be finite.* in row 2"):
        tn.evaluate(network(), ROWS, changed(ONE_HOT, (2, 0), 1e300), tn.MeanSquaredError())


@pytest.mark.parametrize("name", WELCOME_ROWS)
def test_rows_of_many_kinds_mean_the_same(name):
    net = network()
    assert tn.evaluate(net, WELCOME_ROWS[name], LABELS) == tn.evaluate(net, ROWS, LABELS)


@pytest.mark.parametrize("name", WELCOME_TARGETS)
def test_targets_of_many_kinds_mean_the_same(name):
    net = network()
    assert tn.evaluate(net, ROWS, WELCOME_TARGETS[name]) == tn.evaluate(net, ROWS, LABELS)


def test_predict_refuses_probabilities_of_one_output():
    with pytest.raises(ValueError, match="one output"):
        tn.predict(tn.mlp(D, [3], 1), ROWS)


def test_half_precision_is_taken():
    assert tn.predict(network(), ROWS.astype(np.float16)) == pytest.approx(tn.predict(network(), ROWS), abs=1e-3)


def test_targets_that_sum_to_one_but_for_rounding_are_taken():
    thirds = np.full((N, K), 1 / 3).astype(np.float16)
    assert tn.evaluate(network(), ROWS, thirds).loss > 0


PIXELS = np.linspace(0, 255, N * D).reshape(N, D)
WARNING_DOORS = [
    lambda net, x, t: tn.fit(net, tn.SGD(net), x, t, epochs=1),
    lambda net, x, t: tn.fit(net, tn.SGD(net), x, t, epochs=2, validation=(x, t)),
    lambda net, x, t: tn.fit(net, tn.SGD(net), x / 255, t, epochs=1, validation=(x, t)),
    lambda net, x, t: tn.evaluate(net, x, t),
    lambda net, x, t: tn.outputs(net, x),
    lambda net, x, t: tn.predict(net, x),
    lambda net, x, t: tn.predict_classes(net, x),
    lambda net, x, t: tn.gradient_check(net, x, t),
    lambda net, x, t: tn.compare_backends(net, x, t, "numpy", "numpy"),
]
"""One line each: it is the line that the warning has to name."""


@pytest.mark.parametrize("door", WARNING_DOORS)
def test_floats_that_look_like_pixels_are_doubted_once_in_the_callers_line(door):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        door(network(), PIXELS, LABELS)
    found = [(warning.category, str(warning.message), warning.filename, warning.lineno) for warning in seen]
    line = door.__code__.co_firstlineno
    assert found == [(UserWarning, "x are floats that reach 255; did you mean x / 255?", __file__, line)]


UNDOUBTED = {
    "bytes": PIXELS.astype(np.uint8),
    "between 0 and 1": PIXELS / 255,
    "negative numbers too": 255 * ROWS,
    "up to 254": PIXELS * (254 / 255),
    "just beyond 255": PIXELS * (255.5 / 255),
    "beyond 255": 2 * PIXELS,
}


@pytest.mark.parametrize("name", UNDOUBTED)
def test_other_numbers_are_not_doubted(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for door in WARNING_DOORS[2:]:
            door(network(), UNDOUBTED[name], LABELS)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("door", DOORS)
def test_what_the_user_hands_in_is_not_written_to(door, dtype):
    x, t = (120 * ROWS + 128).astype(dtype), ONE_HOT.astype(dtype)
    kept = x.copy(), t.copy()
    DOORS[door](network(dtype="float64"), x, t, tn.SoftmaxCrossEntropy())
    assert (x == kept[0]).all()
    assert (t == kept[1]).all()


def test_pixels_cross_the_border_as_bytes():
    assert rows_in(network(), np.zeros((N, D), np.uint8)).dtype == np.uint8


def test_rows_of_the_networks_dtype_cross_without_a_copy():
    x = ROWS.astype(np.float32)
    assert np.shares_memory(rows_in(network(), x), x)


def test_a_network_that_names_no_width_takes_any():
    assert tn.predict(tn.Network(tn.Softmax()), ROWS).shape == ROWS.shape


def test_a_loss_gets_the_functions_of_the_networks_backend():
    net = network()
    assert evaluation.prepare(net, tn.SoftmaxCrossEntropy(), ROWS, ONE_HOT)[0].ops is net.backend.ops


def test_targets_that_sum_almost_to_one_are_divided_by_their_sum():
    net = network(dtype="float64")
    t = targets_in(net, tn.SoftmaxCrossEntropy(), 1.0009 * ONE_HOT, *ONE_HOT.shape)
    np.testing.assert_allclose(t, ONE_HOT, rtol=1e-15)
