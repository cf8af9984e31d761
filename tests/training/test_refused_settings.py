"""Settings that fit refuses before anything changes."""

import numpy as np
import pytest
from clouds import T, X, network

import tinynet as tn

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


@pytest.mark.parametrize("loss", [tn.MeanSquaredError, "mse"])
def test_a_loss_that_is_none_is_refused(loss):
    with pytest.raises(TypeError, match="loss must be a Loss"):
        tn.evaluate(network(), X, T, loss)


@pytest.mark.parametrize("name", ["W", "dW"])
def test_a_replaced_parameter_or_gradient_is_refused(name):
    net = network()
    setattr(net[0], name, np.zeros_like(net[0].W))
    with pytest.raises(ValueError, match=rf"\.{name} was replaced and is cut off from the network's vectors"):
        tn.fit(net, tn.Adam(net), X, T, epochs=1)
