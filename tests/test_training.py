"""The loop: what fit learns, counts, shows, refuses and leaves behind; evaluate and predict."""

import io
import math
import sys
import time

import numpy as np
import pandas
import pytest
from tqdm import tqdm

import tinynet as tn
from tinynet.arrays import rng
from tinynet.training import evaluation, progress
from tinynet.training.listeners import Training

X, T = np.zeros((4, 2)), np.zeros(4, int)


def clouds(draw, rows=100):
    """Three clouds of points in the plane, and which cloud each point belongs to."""
    labels = np.arange(rows) % 3
    angles = 2 * np.pi / 3 * labels
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) + draw.normal(0, 0.3, (rows, 2)), labels


def network(**options):
    return tn.mlp(2, [8], 3, **options)


def trained(x, t, epochs=2, *, loss=None, batch_size=32, validation=None, **options):
    net = network(**options)
    tn.fit(net, tn.Adam(net), x, t, epochs=epochs, loss=loss, batch_size=batch_size, validation=validation)
    return net


def same_bits(a, b):
    return a.theta.tobytes() == b.theta.tobytes()


# ---------------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("kind", [tn.SGD, tn.Adam])
def test_fit_learns_to_tell_clouds_apart(draw, kind):
    x, t = clouds(draw)
    net = network()
    tn.fit(net, kind(net, lr=0.05), x, t, epochs=20, batch_size=8)
    assert tn.evaluate(net, *clouds(draw)).accuracy > 0.95


def test_fit_learns_exclusive_or():
    x = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], np.float32)
    net = tn.mlp(2, [8], 2)
    tn.fit(net, tn.Adam(net, lr=0.05), x, [0, 1, 1, 0], epochs=200)
    assert tn.predict_classes(net, x).tolist() == [0, 1, 1, 0]


def test_fit_finds_the_line_behind_noiseless_points(draw):
    x = draw.normal(size=(64, 3))
    W, b = draw.normal(size=(3, 2)), draw.normal(size=(1, 2))
    net = tn.mlp(3, [], 2, dtype="float64")
    tn.fit(net, tn.SGD(net, lr=0.3), x, x @ W + b, loss=tn.MeanSquaredError(), epochs=100, batch_size=16)
    np.testing.assert_allclose(net[0].W, W, atol=1e-6)
    np.testing.assert_allclose(net[0].b, b, atol=1e-6)


def test_fit_learns_the_probabilities_of_soft_targets():
    x, t = np.ones((1, 1)), np.array([[0.2, 0.3, 0.5]])
    net = tn.mlp(1, [], 3)
    tn.fit(net, tn.SGD(net, lr=1.0), x, t, epochs=200)
    np.testing.assert_allclose(tn.predict(net, x), t, atol=1e-4)


# ---------------------------------------------------------------------------------------- forms of input


@pytest.mark.parametrize("form", [np.int8, np.uint8, np.int32, np.uint64, lambda t: np.eye(3)[t], list])
def test_a_target_trains_alike_in_every_form(draw, form):
    x, t = clouds(draw)
    assert same_bits(trained(x, form(t)), trained(x, t))


def test_pixels_train_like_the_same_numbers_between_0_and_1(draw):
    pixels, t = draw.integers(0, 256, (50, 2), dtype=np.uint8), draw.integers(0, 3, 50)
    bytes_, floats = (trained(x, t, validation=(x, t), dtype="float64") for x in (pixels, pixels / 255))
    np.testing.assert_allclose(bytes_.theta, floats.theta, rtol=1e-9)


# -------------------------------------------------------------------------------------------- same seed


def test_the_same_seed_gives_the_same_run(draw):
    x, t = clouds(draw)
    assert same_bits(trained(x, t, seed=5, dropout=[0.1, 0.2]), trained(x, t, seed=5, dropout=[0.1, 0.2]))


def test_another_seed_gives_another_order_of_rows(draw):
    x, t = clouds(draw)
    one, two = network(seed=1), network(seed=2)
    two.theta[...] = one.theta
    for net in (one, two):
        tn.fit(net, tn.SGD(net), x, t, epochs=1)
    assert not same_bits(one, two)


def test_the_global_generator_neither_matters_nor_moves(draw):
    x, t = clouds(draw)
    np.random.seed(1)  # noqa: NPY002
    first, state = trained(x, t, dropout=[0.1]), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert state == np.random.RandomState(1).get_state()[1].tolist()
    np.random.seed(2)  # noqa: NPY002
    assert same_bits(first, trained(x, t, dropout=[0.1]))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda net: tn.Adam(net, lr=0.01, weight_decay=0.1),
        lambda net: tn.Adam(net, tn.warm_up(tn.cosine(0.1, steps=16), steps=6)),
        lambda net: tn.SGD(net, tn.step_decay(0.1, every=5), momentum=0.9, nesterov=True),
    ],
    ids=["Adam with decay", "Adam on a cosine", "SGD in steps"],
)
def test_two_and_two_epochs_are_four(draw, optimizer):
    x, t = clouds(draw)
    straight, halved = network(dropout=[0.1, 0.2]), network(dropout=[0.1, 0.2])
    tn.fit(straight, optimizer(straight), x, t, epochs=4)
    again = optimizer(halved)
    for _ in range(2):
        tn.fit(halved, again, x, t, epochs=2)
    assert same_bits(straight, halved)


def test_validation_does_not_touch_the_training(draw):
    x, t = clouds(draw)
    alone, watched = (trained(x, t, dropout=[0.1, 0.2], validation=held_out) for held_out in (None, clouds(draw)))
    assert same_bits(alone, watched)


# --------------------------------------------------------------------------------------------- one epoch


class Witness(tn.Layer):
    """Passes x on and keeps a copy of every batch it sees in training."""

    def __init__(self):
        self.seen = []

    def forward(self, x, train=False):
        self.seen += [x.copy()] if train else []
        return x

    def backward(self, dy):
        return dy


def test_an_epoch_takes_every_row_once_in_an_order_of_its_own():
    x, witness = np.arange(10.0)[:, None], Witness()
    net = tn.Network(witness, tn.Dense(1, 2))
    tn.fit(net, tn.SGD(net), x, np.arange(10) % 2, epochs=3, batch_size=4)
    assert [len(batch) for batch in witness.seen] == 3 * [4, 4, 2]
    epochs = np.concatenate(witness.seen).reshape(3, 10)
    assert (np.sort(epochs) == np.arange(10)).all()
    assert len({tuple(order) for order in epochs} | {tuple(range(10))}) == 4


@pytest.mark.parametrize("rows", [3, 32, 37])
def test_the_running_means_count_each_row_once(draw, rows):
    x, t = clouds(draw, rows)
    net = network(dtype="float64")
    net.theta[...] = draw.normal(size=net.theta.size)
    record = tn.fit(net, tn.SGD(net, lr=1e-30), x, t, epochs=1, batch_size=16)[0]
    assert (record.loss, record.accuracy) == pytest.approx(tn.evaluate(net, x, t))


def test_an_epoch_is_the_loop_written_by_hand(draw):
    x, t = clouds(draw, rows=10)
    fitted, net = network(dtype="float64"), network(dtype="float64")
    record = tn.fit(fitted, tn.SGD(fitted, lr=0.5), x, t, epochs=1, batch_size=4)[0]

    loss, optimizer, lost, right = tn.SoftmaxCrossEntropy().bind(net.backend), tn.SGD(net, lr=0.5), 0, 0
    order = rng.generator(0, "shuffle").permutation(10)
    for rows in (order[:4], order[4:8], order[8:]):
        z = net.forward(x[rows], train=True)
        lost += loss.forward(z, np.eye(3)[t[rows]]) * len(rows)
        right += (z.argmax(axis=1) == t[rows]).sum()
        net.backward(loss.backward())
        optimizer.step()

    assert same_bits(fitted, net)
    assert (record.loss, record.accuracy) == pytest.approx((lost / 10, right / 10))


def test_a_record_says_which_epoch_how_many_rows_and_at_what_rate(draw):
    x, t = clouds(draw, rows=10)
    net = network()
    optimizer = tn.Adam(net, tn.step_decay(0.1, every=4, factor=0.5))
    history = [*tn.fit(net, optimizer, x, t, epochs=2, batch_size=3), *tn.fit(net, optimizer, x, t, epochs=1)]
    assert [(record.epoch, record.rows, record.lr) for record in history] == [
        (1, 10, 0.1),
        (2, 10, 0.05),
        (3, 10, 0.025),
    ]
    assert all(record.seconds > 0 and record.rows_per_second > 0 for record in history)
    assert net.epoch == 3


def test_seconds_end_when_the_last_step_is_computed(draw, monkeypatch):
    """As on a GPU, where the sums are waited for."""
    means = evaluation.Totals.means

    def late(totals):
        time.sleep(0.05)
        return means(totals)

    net = network()
    monkeypatch.setattr(evaluation.Totals, "means", late)
    (record,) = tn.fit(net, tn.SGD(net), *clouds(draw, rows=10), epochs=1)
    assert record.seconds >= 0.05


def test_without_validation_there_are_no_validation_numbers(draw):
    net = network()
    record = tn.fit(net, tn.SGD(net), *clouds(draw), epochs=1)[0]
    assert record.val_loss is record.val_accuracy is None


def test_validation_numbers_are_those_of_evaluate_after_the_epoch(draw):
    held_out, net = clouds(draw, rows=30), network(dropout=[0.5])
    record = tn.fit(net, tn.Adam(net), *clouds(draw), epochs=1, validation=held_out)[0]
    assert (record.val_loss, record.val_accuracy) == tn.evaluate(net, *held_out)


# ------------------------------------------------------------------------------------ evaluate, predict


@pytest.mark.parametrize("batch", [1, 7, 1000, 5000])
def test_evaluate_is_the_mean_over_all_rows_wherever_batches_end(draw, monkeypatch, batch):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", batch)
    x, t = clouds(draw, rows=2500)
    net = network(dtype="float64", dropout=[0.5])
    z = np.maximum(x @ net[1].W + net[1].b, 0) @ net[3].W + net[3].b
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    loss, accuracy = -log_p[np.arange(2500), t].mean(), (log_p.argmax(axis=1) == t).mean()
    assert tn.evaluate(net, x, t) == pytest.approx((loss, accuracy))


def test_evaluate_names_what_it_gives(draw):
    evaluation = tn.evaluate(network(), *clouds(draw))
    assert (evaluation.loss, evaluation.accuracy) == evaluation
    assert all(type(number) is float for number in evaluation)


def test_looking_changes_nothing(draw):
    x, t = clouds(draw)
    net = trained(x, t, dropout=[0.5])
    before = net.theta.tobytes(), net.grad.tobytes(), net.epoch, [layer.counter for layer in net]
    tn.evaluate(net, x, t), tn.predict(net, x), tn.predict_classes(net, x)
    assert before == (net.theta.tobytes(), net.grad.tobytes(), net.epoch, [layer.counter for layer in net])


def test_predict_gives_probabilities_without_dropout(draw):
    x, _ = clouds(draw, rows=1500)
    net = network(dropout=[0.5, 0.5])
    p = tn.predict(net, x)
    assert p.shape == (1500, 3)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(p, tn.predict(net, x))


def test_predict_applies_softmax_exactly_once(draw):
    x, _ = clouds(draw)
    logits = network()
    probabilities = tn.Network(*(layer.copy() for layer in logits), tn.Softmax())
    np.testing.assert_array_equal(tn.predict(logits, x), tn.predict(probabilities, x))
    np.testing.assert_array_equal(tn.predict(probabilities, x), probabilities.forward(x.astype(np.float32)))


def test_predict_classes_names_the_most_probable_class(draw):
    x, _ = clouds(draw)
    classes = tn.predict_classes(network(), x)
    assert classes.dtype.kind == "i"
    np.testing.assert_array_equal(classes, tn.predict(network(), x).argmax(axis=1))


def test_classes_are_told_apart_on_the_last_axis(draw):
    x = draw.normal(size=(5, 1, 3))
    np.testing.assert_array_equal(tn.predict_classes(tn.Network(tn.Softmax()), x), x.argmax(axis=-1))


# ----------------------------------------------------------------------------------------------- losses


def test_a_network_that_ends_in_softmax_trains_with_cross_entropy_as_well(draw):
    x, t = clouds(draw)
    logits = network(dtype="float64")
    probabilities = tn.Network(*(layer.copy() for layer in logits), tn.Softmax(), dtype="float64")
    for net in (logits, probabilities):
        tn.fit(net, tn.SGD(net, lr=0.1), x, t, epochs=3)
    np.testing.assert_allclose(logits.theta, probabilities.theta, rtol=1e-9)


SQUARED = tn.MeanSquaredError(), lambda r: r**2
HUBER = tn.Huber(delta=0.5), lambda r: np.where(abs(r) < 0.5, r**2 / 2, abs(r) / 2 - 0.125)


@pytest.mark.parametrize(("loss", "formula"), [SQUARED, HUBER], ids=["squares", "huber"])
def test_a_regression_has_losses_and_no_accuracy(draw, loss, formula):
    x, t, net = draw.normal(size=(20, 2)), draw.normal(size=(20, 3)), network()
    record = tn.fit(net, tn.SGD(net), x, t, loss=loss, epochs=1, validation=(x, t))[0]
    evaluation = tn.evaluate(net, x, t)
    assert record.accuracy is record.val_accuracy is evaluation.accuracy is None
    assert evaluation.loss == record.val_loss
    assert evaluation.loss == pytest.approx(formula(tn.outputs(net, x) - t).mean())


def test_patience_judges_a_regression_by_its_loss(draw):
    x, t = draw.normal(size=(20, 2)), draw.normal(size=(20, 1))
    held_out, net = (draw.normal(size=(20, 2)), draw.normal(size=(20, 1))), tn.mlp(2, [30], 1)
    history = tn.fit(net, tn.Adam(net, lr=0.05), x, t, epochs=60, loss=tn.Huber(), validation=held_out, patience=3)
    best = min(history, key=lambda record: record.val_loss)
    assert len(history) == best.epoch + 3 < 60
    assert tn.evaluate(net, *held_out).loss == best.val_loss


def binary(draw, rows=60):
    x = draw.normal(size=(rows, 2))
    return tn.mlp(2, [8], 1, dtype="float64"), x, (x.sum(axis=1) > 0).astype(int)


def test_one_output_learns_to_tell_two_classes_apart(draw):
    net, x, t = binary(draw)
    history = tn.fit(net, tn.Adam(net, lr=0.05), x, t, epochs=30, loss=tn.BinaryCrossEntropy(), validation=(x, t))
    z = tn.outputs(net, x)
    assert history[-1].val_accuracy == ((z[:, 0] > 0) == t).mean() > 0.9
    assert history[-1].val_loss == pytest.approx((np.log1p(np.exp(z)) - t[:, None] * z).mean())


@pytest.mark.parametrize("form", [list, np.uint8, lambda t: t[:, None], lambda t: t[:, None] > 0])
def test_targets_of_one_output_mean_the_same_in_every_form(draw, form):
    net, x, t = binary(draw)
    assert tn.evaluate(net, x, form(t), tn.BinaryCrossEntropy()) == tn.evaluate(net, x, t, tn.BinaryCrossEntropy())


def test_label_smoothing_is_training_on_softer_rows(draw):
    x, t = clouds(draw)
    smoothed = trained(x, t, loss=tn.SoftmaxCrossEntropy(label_smoothing=0.3), dropout=[0.1])
    soft = trained(x, 0.7 * np.eye(3)[t] + 0.1, dropout=[0.1])
    np.testing.assert_allclose(smoothed.theta, soft.theta, rtol=1e-4, atol=1e-6)


# --------------------------------------------------------------------- what a network says after which loss


def untouched(z):
    return z


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


MEANINGS = {
    "softmax": (tn.SoftmaxCrossEntropy(), 3, softmax),
    "smoothed": (tn.SoftmaxCrossEntropy(label_smoothing=0.1), 3, softmax),
    "binary": (tn.BinaryCrossEntropy(), 1, lambda z: 1 / (1 + np.exp(-z))),
    "probabilities": (tn.CrossEntropy(), 3, untouched),
    "squares": (tn.MeanSquaredError(), 3, untouched),
    "one square": (tn.MeanSquaredError(), 1, untouched),
    "huber": (tn.Huber(), 3, untouched),
}


def fitted(draw, loss, outputs, rows=30, dtype="float64"):
    """A network trained a little with that loss, rows and fitting targets."""
    x = draw.normal(size=(rows, 2))
    head = [tn.Softmax()] if isinstance(loss, tn.CrossEntropy) else []
    net = tn.Network(tn.Dense(2, 8), tn.GELU(), tn.Dense(8, outputs), *head, dtype=dtype)
    t = draw.integers(0, max(outputs, 2), rows) if loss.classifies else draw.normal(size=(rows, outputs))
    tn.fit(net, tn.SGD(net, lr=0.5), x, t, epochs=1, loss=loss)
    return net, x, t


@pytest.mark.parametrize("name", MEANINGS)
def test_predict_gives_what_outputs_mean_to_the_loss_of_the_training(draw, monkeypatch, name):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 7)
    loss, outputs, meaning = MEANINGS[name]
    net, x, _ = fitted(draw, loss, outputs)
    z = tn.outputs(net, x)
    assert type(z) is type(tn.predict(net, x)) is np.ndarray
    np.testing.assert_allclose(z, net.forward(x), rtol=1e-12)
    np.testing.assert_allclose(tn.predict(net, x), meaning(z), rtol=1e-12)


@pytest.mark.parametrize("name", MEANINGS)
def test_predict_classes_follows_predict_and_refuses_values(draw, name):
    loss, outputs, _ = MEANINGS[name]
    net, x, t = fitted(draw, loss, outputs)
    if loss.classifies:
        p = tn.predict(net, x)
        classes = p.argmax(axis=1) if outputs > 1 else (p[:, 0] > 0.5).astype(int)
        assert tn.predict_classes(net, x).tolist() == classes.tolist()
        assert tn.evaluate(net, x, t).accuracy == (classes == t).mean()
    else:
        with pytest.raises(
            ValueError, match=rf"^predict_classes takes .* knows {type(loss).__name__}\(.*: use predict$"
        ):
            tn.predict_classes(net, x)


def test_one_output_is_the_second_class_only_above_a_half():
    net = tn.Network(tn.Dense(1, 1, "zeros"))
    net.loss = tn.BinaryCrossEntropy()
    assert tn.predict(net, np.ones((2, 1))).tolist() == [[0.5], [0.5]]
    assert tn.predict_classes(net, np.ones((2, 1))).tolist() == [0, 0]


def test_outputs_are_those_of_a_part_as_well(draw):
    net, x = network(dtype="float64"), draw.normal(size=(9, 2))
    np.testing.assert_allclose(tn.outputs(net[:2], x), np.maximum(x @ net[0].W + net[0].b, 0), rtol=1e-12)


# ---------------------------------------------------------------------------------------------- weights


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


def test_weights_of_one_change_nothing_but_rounding(draw):
    x, t = clouds(draw)
    plain, weighted = network(dropout=[0.1]), network(dropout=[0.1])
    tn.fit(plain, tn.Adam(plain), x, t, epochs=2)
    tn.fit(weighted, tn.Adam(weighted), x, t, epochs=2, sample_weight=np.ones(100, int))
    np.testing.assert_allclose(plain.theta, weighted.theta, rtol=1e-3, atol=1e-5)


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


# -------------------------------------------------------------------------------------------- stopping


def overfitted(draw, *, epochs=30, patience=4, **options):
    """A network taught well past its best on other labels than it is judged by."""
    x, t = clouds(draw)
    held_out = x, np.where(draw.random(len(t)) < 0.4, (t + 1) % 3, t)
    net = network(**options)
    return (
        net,
        held_out,
        tn.fit(net, tn.Adam(net, lr=0.03), x, t, epochs=epochs, batch_size=4, validation=held_out, patience=patience),
    )


def test_fit_stops_once_patience_is_over(draw):
    _, _, history = overfitted(draw)
    best = min(history, key=lambda record: record.val_loss)
    assert 0 < best.epoch < 26
    assert len(history) == best.epoch + 4
    assert f"since epoch {best.epoch}" in history.stopped


def test_the_weights_of_the_best_epoch_come_back(draw):
    net, held_out, history = overfitted(draw)
    assert tn.evaluate(net, *held_out).loss == min(record.val_loss for record in history)


def test_the_best_weights_come_back_when_patience_outlasts_the_epochs(draw):
    net, held_out, history = overfitted(draw, epochs=12, patience=30)
    assert history.stopped == ""
    assert len(history) == 12
    assert tn.evaluate(net, *held_out).loss == min(record.val_loss for record in history) < history[-1].val_loss


def test_without_patience_the_last_weights_stay(draw):
    net, held_out, history = overfitted(draw, patience=None)
    assert len(history) == 30
    assert history.stopped == ""
    assert tn.evaluate(net, *held_out).loss == history[-1].val_loss


def test_patience_without_one_finite_loss_ends_but_brings_nothing_back():
    net = tn.Network(tn.Dense(1, 2), tn.Softmax())
    net.theta[...] = [1, -1, 0, 0]
    net.epoch = 10
    x, impossible = np.array([[1e3]]), [1]
    with np.errstate(divide="ignore"):
        history = tn.fit(
            net, tn.SGD(net, lr=1e-9), x, [0], epochs=5, validation=(x, impossible), patience=3, progress=False
        )
    assert len(history) == 3
    assert history.stopped
    assert "weights are back" not in history.stopped


def test_a_loss_that_is_not_finite_ends_the_training_with_a_warning(draw):
    net = network()
    with (
        np.errstate(all="ignore"),
        pytest.warns(RuntimeWarning, match="fit stops: the loss of epoch .* a lower lr") as seen,
    ):
        history = tn.fit(net, tn.SGD(net, lr=1e30), *clouds(draw), epochs=50)
    assert len(history) < 50
    assert not math.isfinite(history[-1].loss)
    assert history.stopped in str(seen[0].message)
    assert seen[0].filename == __file__


def test_the_best_weights_come_back_when_the_loss_is_lost(draw):
    x, t = clouds(draw)
    net = network()
    optimizer = tn.SGD(net, lr=lambda step: 0.1 if step < 8 else 1e30)
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="fit stops"):
        history = tn.fit(net, optimizer, x, t, epochs=50, validation=(x, t), patience=40)
    assert tn.evaluate(net, x, t).loss == pytest.approx(min(record.val_loss for record in history))


# ------------------------------------------------------------------------------------------- callbacks


def test_every_callback_sees_every_record_in_order(draw):
    net, seen = network(), []
    callbacks = [lambda record: seen.append(("first", record)), lambda record: seen.append(("second", record))]
    history = tn.fit(net, tn.SGD(net), *clouds(draw), epochs=3, callbacks=callbacks)
    assert seen == [(name, record) for record in history for name in ("first", "second")]


def test_callbacks_from_a_generator_see_every_record(draw):
    net, seen = network(), []
    history = tn.fit(net, tn.SGD(net), *clouds(draw), epochs=3, callbacks=(call for call in [seen.append]))
    assert seen == history


def test_an_interrupt_leaves_network_and_bar_in_order(draw):
    def interrupt(record):
        raise KeyboardInterrupt

    x, t = clouds(draw)
    net, bar = network(dropout=[0.1]), tqdm(total=1, file=io.StringIO())
    optimizer = tn.Adam(net)
    with pytest.raises(KeyboardInterrupt):
        tn.fit(net, optimizer, x, t, epochs=3, callbacks=[interrupt], progress=bar)
    assert bar.disable
    assert net.epoch == 1
    tn.fit(net, optimizer, x, t, epochs=2)
    assert same_bits(net, trained(x, t, epochs=3, dropout=[0.1]))


# -------------------------------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, draw, stream, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    net = network()
    tn.fit(net, tn.SGD(net), *clouds(draw), epochs=2, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "progress", "speaks"),
    [
        (io.StringIO, None, False),
        (Terminal, None, True),
        (io.StringIO, True, True),
        (Terminal, False, False),
    ],
)
def test_the_bar_shows_where_it_is_wanted(monkeypatch, draw, stream, progress, speaks):
    assert bool(shown(monkeypatch, draw, stream(), progress=progress)) == speaks


def test_the_bar_ends_on_the_numbers_of_the_last_epoch(monkeypatch, draw):
    text = shown(monkeypatch, draw, io.StringIO(), progress=True, validation=clouds(draw, rows=9))
    last = text.split("\r")[-1]
    for part in ("100%", "200/200", "epoch 2", "loss 1.", "accuracy 0.", "val_accuracy 0."):
        assert part in last


def test_a_bar_of_ones_own_is_used(monkeypatch, draw):
    own = io.StringIO()
    assert shown(monkeypatch, draw, io.StringIO(), progress=tqdm(file=own, desc="mine")) == ""
    assert "mine" in own.getvalue()
    assert "epoch 2" in own.getvalue()


def test_one_fit_after_another_takes_one_line_each(monkeypatch, draw):
    stream = io.StringIO()
    for _ in range(3):
        shown(monkeypatch, draw, stream, progress=True)
    assert stream.getvalue().count("\n") == 3
    assert "\x1b[A" not in stream.getvalue()


def test_the_bar_of_a_regression_shows_losses_and_no_accuracy(draw):
    x, net, stream = draw.normal(size=(20, 2)), network(), io.StringIO()
    t = 1e-6 * draw.normal(size=(20, 3))
    bar, options = tqdm(file=stream), {"loss": tn.MeanSquaredError(), "validation": (x, t)}
    record = tn.fit(net, tn.SGD(net), x, t, epochs=1, progress=bar, **options)[0]
    last = stream.getvalue().split("\r")[-1]
    assert f"epoch 1, loss {record.loss:.5g}, val_loss {record.val_loss:.5g}]" in last
    assert "accuracy" not in last


class Clock:
    """Stands for the module time: each look finds it `step` seconds later."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def perf_counter(self):
        self.now += self.step
        return self.now


def test_the_bar_is_refreshed_ten_times_a_second_at_most(monkeypatch):
    clock, bar, seen = Clock(0.0), tqdm(file=io.StringIO()), []
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(bar, "set_postfix_str", lambda text, refresh: seen.append(round(clock.now, 2)))
    listener, net = progress.ProgressBar(bar), network()

    def steps(*_):
        for _ in range(20):
            clock.now += 0.04
            yield 5, 0.5, 3

    listener.begin(training(net, rows=100))
    assert list(listener.steps(steps)(net, None, tn.SoftmaxCrossEntropy())) == [(5, 0.5, 3)] * 20
    assert list(zip(seen, [5, 20, 35, 50, 65, 80, 95], strict=False)) == [
        (0.04, 5),
        (0.16, 20),
        (0.28, 35),
        (0.4, 50),
        (0.52, 65),
        (0.64, 80),
        (0.76, 95),
    ]


def training(net: tn.Network, rows: int) -> Training:
    return Training(net, tn.SGD(net), tn.SoftmaxCrossEntropy(), np.zeros((rows, 2)), None, 1, 5, tn.History())


def test_a_silent_bar_fetches_nothing():
    """Totals that nobody sees are not even added: this step yields what cannot be added."""
    listener, net = progress.ProgressBar(False), network()
    listener.begin(training(net, rows=100))
    steps = listener.steps(lambda *_: iter([("rows", "loss", "correct")]))
    assert list(steps(net, None, tn.SoftmaxCrossEntropy())) == [("rows", "loss", "correct")]


def test_the_bar_counts_many_rows_in_thousands():
    listener, net = progress.ProgressBar(True), network()
    listener.begin(training(net, rows=32_000))
    assert "32.0k" in str(listener.bar)
    listener.end(None)


def test_the_bar_moves_within_an_epoch(monkeypatch, draw):
    bar, seen = tqdm(file=io.StringIO()), []
    monkeypatch.setattr(progress, "time", Clock(1.0))
    monkeypatch.setattr(bar, "set_postfix_str", lambda text, refresh: seen.append((text, bar.n)))
    net = network()
    history = tn.fit(net, tn.SGD(net), *clouds(draw), epochs=1, batch_size=20, progress=bar)
    assert seen[0][0].startswith("epoch 1, loss 1.")
    assert seen[-1] == (f"epoch 1, loss {history[-1].loss:.5g}, accuracy {history[-1].accuracy:.4f}", 100)
    assert len(seen) > 1


def test_in_a_notebook_the_bar_is_the_notebooks(monkeypatch, draw):
    made = []

    class NotebookBar(tqdm):
        def __init__(self, **options):
            made.append(options)
            super().__init__(file=io.StringIO(), **options)

    monkeypatch.setattr("tqdm.auto.tqdm", NotebookBar)
    net = network()
    tn.fit(net, tn.SGD(net), *clouds(draw), epochs=1)
    assert [options["disable"] for options in made] == [None]


# -------------------------------------------------------------------------------------------- refusals


REFUSED = {
    "no epoch": ({"epochs": 0}, "epochs and batch_size of at least 1; got 0 and 32"),
    "half an epoch": ({"epochs": 2.5}, "epochs"),
    "negative batches": ({"batch_size": -1}, "epochs and batch_size of at least 1; got 1 and -1"),
    "half a row": ({"batch_size": 2.5}, "batch_size"),
    "no patience": ({"patience": 0, "validation": (X, T)}, r"patience of at least 1.*got 0"),
    "nothing to be patient for": ({"patience": 2}, r"with validation=\(x, t\); got 2"),
    "x": ({"x": X + np.nan}, "x must be finite"),
    "t": ({"t": T + 3}, "labels must lie in"),
    "validation x": ({"validation": (X + np.nan, T)}, "x must be finite"),
    "validation t": ({"validation": (X, T + 3)}, "labels must lie in"),
    "validation without t": ({"validation": (X,)}, r"validation=\(x, t\), two arrays"),
    "validation as a share": ({"validation": 0.2}, r"validation=\(x, t\), two arrays; got 0.2"),
    "labels for arrays": ({"loss": tn.MeanSquaredError()}, r"MeanSquaredError takes targets \(4, 3\), got \(4,\)"),
    "a callback not in a list": ({"callbacks": print}, "callbacks in a list"),
    "a callback that is none": ({"callbacks": [print, "print"]}, "each to be called with a Record"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_refused_before_anything_moves(name):
    arguments, message = REFUSED[name]
    net = network(dropout=[0.5])
    optimizer, theta = tn.Adam(net), net.theta.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        tn.fit(net, optimizer, **({"x": X, "t": T, "epochs": 1} | arguments))
    np.testing.assert_array_equal(net.theta, theta)
    assert (net.epoch, net[0].counter, optimizer.step_count) == (0, 0, 0)


def test_the_smallest_settings_are_welcome(tmp_path):
    smallest = {"epochs": 1, "batch_size": 1, "patience": 1, "every": 1, "checkpoint": tmp_path / "run"}
    net = network()
    assert len(tn.fit(net, tn.Adam(net), X, T, validation=(X, T), **smallest)) == 1


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(TypeError, match=r"fit takes an optimizer such as Adam\(network\); got 'adam'"):
        tn.fit(network(), "adam", X, T, epochs=1)


def test_the_optimizer_of_another_network_is_refused(draw):
    one, other = network(), network()
    with pytest.raises(ValueError, match="belongs to another network"):
        tn.fit(one, tn.Adam(other), *clouds(draw), epochs=1)
    assert same_bits(one, network())
    assert same_bits(other, network())


@pytest.mark.parametrize("use", [tn.evaluate, tn.gradient_check])
def test_logits_are_not_asked_of_a_network_that_ends_in_softmax(use):
    net = tn.Network(tn.Dense(2, 3), tn.Softmax())
    with pytest.raises(ValueError, match="takes logits, but the network ends in Softmax: use CrossEntropy"):
        use(net, X, T, tn.SoftmaxCrossEntropy())


# ----------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["float16", "float32", "float64", "uint8"])
@pytest.mark.parametrize("kind", [tn.SGD, tn.Adam])
@pytest.mark.parametrize("loss", [tn.SoftmaxCrossEntropy, tn.CrossEntropy, tn.MeanSquaredError])
def test_a_network_trains_in_its_own_dtype_throughout(draw, dtype, data, kind, loss):
    head = [tn.Softmax()] if loss is tn.CrossEntropy else []
    net = tn.Network(tn.Dropout(0.1), tn.Dense(2, 8), tn.ReLU(), tn.Dense(8, 3), *head, dtype=dtype)
    optimizer, measure = kind(net, lambda step: np.float64(0.01), weight_decay=0.1), loss()
    x, t = abs(clouds(draw)[0]).astype(data), np.eye(3)[clouds(draw)[1]]
    tn.fit(net, optimizer, x, t, epochs=1, loss=measure)
    measure.forward(net.forward(x.astype(dtype), train=True), t.astype(dtype))
    remembered = [layer.memory for layer in net] + [*measure.memory]
    moved = [net.theta, net.grad, *(getattr(optimizer, name) for name in optimizer.slots)]
    assert {array.dtype for array in [*remembered, *moved, measure.backward()]} == {np.dtype(dtype)}
    assert tn.predict(net, x).dtype == dtype


def test_no_gradient_is_computed_for_the_input_of_the_first_dense(draw, monkeypatch):
    net, calls = tn.mlp(2, [3], 2, dropout=[0.1], dtype="float64"), []
    plain = net.backend.ops.dense_backward
    monkeypatch.setattr(net.backend.ops, "dense_backward", lambda dy, W: calls.append(W.shape) or plain(dy, W))
    tn.fit(net, tn.Adam(net), draw.normal(size=(4, 2)), [0, 1, 0, 1], epochs=1)
    assert calls == [(3, 2)]


def test_cross_entropy_on_logits_is_refused():
    with pytest.raises(ValueError, match=r"CrossEntropy takes probabilities.* use SoftmaxCrossEntropy"):
        tn.evaluate(network(), X, T, tn.CrossEntropy())


@pytest.mark.parametrize("loss", [tn.MeanSquaredError, "mse"])
def test_a_loss_that_is_none_is_refused(loss):
    with pytest.raises(TypeError, match="loss must be a Loss"):
        tn.evaluate(network(), X, T, loss)


def test_probabilities_of_a_single_output_are_refused():
    with pytest.raises(ValueError, match="one output"):
        tn.predict(tn.mlp(2, [3], 1), X)


def test_best_weights_are_back_even_when_a_callback_raises(draw):
    thetas = []

    def stop(record):
        thetas.append(net.theta.copy())
        if record.epoch == 20:
            raise KeyboardInterrupt

    net, x, held_out = tn.mlp(2, [30], 2, seed=1), draw.normal(size=(20, 2)), draw.normal(size=(50, 2))
    losses = []
    with pytest.raises(KeyboardInterrupt):
        tn.fit(
            net,
            tn.Adam(net, lr=0.1),
            x,
            np.arange(20) % 2,
            epochs=30,
            validation=(held_out, np.arange(50) % 2),
            patience=30,
            callbacks=[stop, lambda record: losses.append(record.val_loss)],
        )
    assert net.theta.tobytes() == thetas[int(np.argmin(losses))].tobytes()


def test_a_replaced_parameter_is_refused():
    net = network()
    net[0].W = np.zeros_like(net[0].W)
    with pytest.raises(ValueError, match=r"\.W was replaced and is cut off from the network's vectors"):
        tn.fit(net, tn.Adam(net), X, T, epochs=1)


def test_a_replaced_gradient_is_refused():
    net = network()
    net[0].dW = np.zeros_like(net[0].dW)
    with pytest.raises(ValueError, match=r"\.dW was replaced"):
        tn.fit(net, tn.Adam(net), X, T, epochs=1)
