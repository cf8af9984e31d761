"""evaluate and predict, and the loss that they use."""

import numpy as np
import pytest
from clouds import MEANINGS, clouds, fitted, network, trained

import tinynet as tn
from tinynet.training import evaluation

# --------------------------------------------------------------------------------------------------- evaluate, predict


@pytest.mark.parametrize("batch", [1, 7, 1000, 5000])
def test_evaluate_is_the_mean_over_all_rows_wherever_batches_end(draw, monkeypatch, batch):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", batch)
    x, t = clouds(draw, rows=2500)
    net = network(dtype="float64", dropout=[0.5])
    z = np.maximum(x @ net[1].W + net[1].b, 0) @ net[3].W + net[3].b
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    loss, accuracy = -log_p[np.arange(2500), t].mean(), (log_p.argmax(axis=1) == t).mean()
    found = tn.evaluate(net, x, t)
    assert found == (found.loss, found.accuracy) == pytest.approx((loss, accuracy))
    assert all(type(number) is float for number in found)


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


def test_classes_are_told_apart_on_the_last_axis(draw):
    x = draw.normal(size=(5, 1, 3))
    np.testing.assert_array_equal(tn.predict_classes(tn.Network(tn.Softmax()), x), x.argmax(axis=-1))


# -------------------------------------------------------------------------------------------------------------- losses


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


# -------------------------------------------------------------------------------- what a network says after which loss


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
