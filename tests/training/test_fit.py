"""fit: what it learns and counts, seeds, one epoch, dtypes."""

import time

import numpy as np
import pytest
from clouds import clouds, network, same_bits, trained

import tinynet as tn
from tinynet.arrays import rng
from tinynet.training import evaluation

# ------------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("kind", [tn.SGD, tn.Adam])
def test_fit_learns_to_tell_clouds_apart(draw, kind):
    x, t = clouds(draw)
    net = network()
    tn.fit(net, kind(net, lr=0.05), x, t, epochs=20, batch_size=8)
    assert tn.evaluate(net, *clouds(draw)).accuracy > 0.95


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


# ------------------------------------------------------------------------------------------------------ forms of input


@pytest.mark.parametrize("form", [np.int8, np.uint8, np.int32, np.uint64, lambda t: np.eye(3)[t], list])
def test_a_target_trains_alike_in_every_form(draw, form):
    x, t = clouds(draw)
    assert same_bits(trained(x, form(t)), trained(x, t))


def test_pixels_train_like_the_same_numbers_between_0_and_1(draw):
    pixels, t = draw.integers(0, 256, (50, 2), dtype=np.uint8), draw.integers(0, 3, 50)
    bytes_, floats = (trained(x, t, validation=(x, t), dtype="float64") for x in (pixels, pixels / 255))
    np.testing.assert_allclose(bytes_.theta, floats.theta, rtol=1e-9)


# ----------------------------------------------------------------------------------------------------------- same seed


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


# ----------------------------------------------------------------------------------------------------------- one epoch


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


def test_validation_numbers_are_those_of_evaluate_after_the_epoch(draw):
    held_out, net = clouds(draw, rows=30), network(dropout=[0.5])
    alone = tn.fit(net, tn.Adam(net), *clouds(draw), epochs=1)[0]
    assert alone.val_loss is alone.val_accuracy is None
    record = tn.fit(net, tn.Adam(net), *clouds(draw), epochs=1, validation=held_out)[0]
    assert (record.val_loss, record.val_accuracy) == tn.evaluate(net, *held_out)


# -------------------------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("data", "kind", "loss"),
    [
        ("float16", tn.SGD, tn.SoftmaxCrossEntropy),
        ("float32", tn.Adam, tn.CrossEntropy),
        ("float64", tn.SGD, tn.MeanSquaredError),
        ("uint8", tn.Adam, tn.SoftmaxCrossEntropy),
    ],
)
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
