"""class_weight and sample_weight."""

import numpy as np
import pandas
import pytest
from clouds import MEANINGS, T, X, clouds, fitted, network, same_bits

import tinynet as tn
from tinynet.arrays import rng
from tinynet.training import evaluation

over_losses = pytest.mark.parametrize("name", MEANINGS)


@over_losses
def test_a_weighted_evaluation_is_the_mean_of_each_rows_weight_times_its_loss(draw, monkeypatch, name):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 7)
    net, x, t = fitted(draw, *MEANINGS[name][:2])
    weights = draw.choice([0, 0.5, 3], 30)
    alone = [tn.evaluate(net, x[n : n + 1], t[n : n + 1]).loss for n in range(30)]
    weighted = tn.evaluate(net, x, t, sample_weight=weights)
    assert weighted.loss == pytest.approx(weights @ alone / 30)
    assert weighted.accuracy == tn.evaluate(net, x, t).accuracy


def test_a_weighted_evaluation_by_hand(draw):
    net, x, t = fitted(draw, tn.SoftmaxCrossEntropy(), 3)
    own = -np.log(tn.predict(net, x)[np.arange(30), t])
    weights, classes = draw.uniform(size=30), np.array([0.5, 1, 4])[t]
    assert tn.evaluate(net, x, t, sample_weight=weights).loss == pytest.approx(weights @ own / 30)
    assert tn.evaluate(net, x, t, class_weight=[0.5, 1, 4]).loss == pytest.approx(classes @ own / 30)
    both = tn.evaluate(net, x, t, class_weight={0: 0.5, 2: 4}, sample_weight=weights)
    assert both.loss == pytest.approx((weights * classes) @ own / 30)


@over_losses
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_weighted_training_is_the_loop_written_by_hand(draw, name, dtype, tolerance):
    """Ten rows in batches of four, the last one short: a step along 1/N sum of w_n times row n's own gradient."""
    loss, outputs, _ = MEANINGS[name]
    net, x, t = fitted(draw, loss, outputs, rows=10, dtype=dtype)
    weights, fit = draw.choice([0, 0.5, 3], 10), net.copy()
    history = tn.fit(fit, tn.SGD(fit, lr=0.1), x, t, epochs=2, batch_size=4, sample_weight=weights)

    optimizer, lost = tn.SGD(net, lr=0.1), []
    rows = x.astype(dtype)
    targets = t if not loss.classifies else t[:, None] if outputs == 1 else np.eye(3)[t]
    for epoch in (1, 2):
        order = rng.generator(0, "shuffle", epoch).permutation(10)
        for batch in (order[:4], order[4:8], order[8:]):
            grad = 0
            for n in batch:
                z = net.forward(rows[n : n + 1], train=True)
                lost.append(weights[n] * net.loss.forward(z, targets[n : n + 1]))
                net.backward(net.loss.backward())
                grad = grad + weights[n] * net.grad / len(batch)
            net.grad[...] = grad
            optimizer.step()

    np.testing.assert_allclose(fit.theta, net.theta, rtol=tolerance, atol=tolerance / 100)
    assert [record.loss for record in history] == pytest.approx(np.reshape(lost, (2, 10)).mean(axis=1), rel=tolerance)


@over_losses
def test_a_weight_of_two_is_a_row_taken_twice(draw, name):
    net, x, t = fitted(draw, *MEANINGS[name][:2])
    weights, twice = np.arange(30) % 4, net.copy()
    mean = weights.sum() / 30
    tn.fit(net, tn.SGD(net, lr=0.1), x, t, epochs=3, batch_size=30, sample_weight=weights)
    more = x.repeat(weights, axis=0), t.repeat(weights, axis=0)
    tn.fit(twice, tn.SGD(twice, lr=0.1 * mean), *more, epochs=3, batch_size=len(more[0]))
    np.testing.assert_allclose(net.theta, twice.theta, rtol=1e-9)
    assert tn.evaluate(net, x, t, sample_weight=weights).loss == pytest.approx(mean * tn.evaluate(twice, *more).loss)


CHANCE = np.array([[0.0], [1], [0.25]])
CLASS_WEIGHTS = {
    "a row of weights": (3, np.array([0, 2, 1]), [1, 2, 4], [1, 4, 2]),
    "a Series": (3, np.array([0, 2, 1]), pandas.Series([1, 2, 4]), [1, 4, 2]),
    "named classes": (3, np.array([0, 2, 1]), {2: 4, 1: 0.5}, [1, 4, 0.5]),
    "named by NumPy": (3, np.array([0, 2, 1]), {np.int64(2): np.float32(4)}, [1, 4, 1]),
    "one-hot rows": (3, np.eye(3)[[0, 2, 1]], [1, 2, 4], [1, 4, 2]),
    "soft rows": (3, np.array([[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.25, 0.25]]), [1, 2, 4], [1, 1.5, 2]),
    "two classes": (1, np.array([0, 1, 1]), {1: 3}, [1, 3, 3]),
    "chances": (1, CHANCE, [1, 3], [1, 3, 1.5]),
}


@pytest.mark.parametrize("name", CLASS_WEIGHTS)
@pytest.mark.parametrize("sample_weight", [None, [3, 1, 0.5]])
def test_a_class_weight_is_the_weight_of_each_row_of_that_class(draw, name, sample_weight):
    outputs, t, class_weight, each = CLASS_WEIGHTS[name]
    loss, x = tn.BinaryCrossEntropy() if outputs == 1 else None, draw.normal(size=(3, 2))
    nets = [tn.mlp(2, [4], outputs) for _ in range(2)]
    weights = (
        {"class_weight": class_weight, "sample_weight": sample_weight},
        {"sample_weight": np.array(each) * (sample_weight or 1)},
    )
    assert tn.evaluate(nets[0], x, t, loss, **weights[0]) == tn.evaluate(nets[0], x, t, loss, **weights[1])
    for net, given in zip(nets, weights, strict=True):
        tn.fit(net, tn.Adam(net), x, t, epochs=2, batch_size=2, loss=loss, **given)
    assert same_bits(*nets)


def test_weights_are_of_one_training_and_not_of_validation(draw):
    x, t = clouds(draw)
    net, loss = network(), tn.SoftmaxCrossEntropy()
    history = tn.fit(net, tn.SGD(net), x, t, epochs=1, loss=loss, class_weight=[1, 2, 3], validation=(x, t))
    assert net.loss is loss
    assert (history[0].val_loss, history[0].val_accuracy) == tn.evaluate(net, x, t)


WRONG_WEIGHTS = {
    "a weight too few": ({"sample_weight": [1, 2, 3]}, r"^sample_weight must be \(4,\), .* each row of x, got \(3,\)$"),
    "a column": ({"sample_weight": np.ones((4, 1))}, r"^sample_weight must be \(4,\), .* got \(4, 1\)$"),
    "negative": (
        {"sample_weight": [1, 1, -0.5, 1]},
        r"^weights must be .* at least 0 and not all 0, got -0\.5 to 1\.0$",
    ),
    "NaN": ({"sample_weight": [1, 1, np.nan, 1]}, "^weights must be finite, .* got nan to nan$"),
    "beyond float32": ({"sample_weight": [1, 1, 1e39, 1]}, r"^weights must be finite, .* got 1\.0 to 1e\+39$"),
    "nothing": ({"sample_weight": np.zeros(4)}, r"^weights must be .* not all 0, got 0\.0 to 0\.0$"),
    "no class left": ({"class_weight": {0: 0}}, r"^weights must be .* not all 0, got 0\.0 to 0\.0$"),
    "class 3 of 3": (
        {"class_weight": {3: 1.0}},
        r"^class_weight takes weights of the classes 0 \.\. 2, got {3: 1\.0}$",
    ),
    "two of three": ({"class_weight": [1, 2]}, r"^class_weight takes weights of the classes 0 \.\. 2, got \[1, 2\]$"),
    "one number": ({"class_weight": 2.0}, r"^class_weight takes weights of the classes 0 \.\. 2, got 2\.0$"),
    "a word": ({"class_weight": "balanced"}, r"^class_weight takes .* 0 \.\. 2, got 'balanced'$"),
    "no classes": (
        {"class_weight": [1, 2, 3], "loss": tn.Huber(), "t": np.zeros((4, 3))},
        r"^class_weight takes a loss that knows classes, got Huber\(delta=1\.0\): use sample_weight$",
    ),
}


@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_wrong_weights_are_refused_by_fit_and_evaluate(name):
    arguments, message = WRONG_WEIGHTS[name]
    net, arguments = network(), {"x": X, "t": T} | arguments
    with pytest.raises(ValueError, match=message):
        tn.evaluate(net, **arguments)
    with pytest.raises(ValueError, match=message):
        tn.fit(net, tn.Adam(net), epochs=1, **arguments)
    assert net.loss is None
    assert same_bits(net, network())
