"""Augmentation: where pixels go, reproducibility on every backend, and use in `fit`."""

import math
from functools import partial

import numpy as np
import pytest
import standin

import tinynet as tn
from tinynet.data import augment

NOTHING = {"shift": 0, "rotation": 0, "scale": 0, "shear": 0, "elastic": 0}
SETTINGS = ["shift", "rotation", "scale", "shear", "elastic"]
PLACES = ["numpy", "stand-in", pytest.param("cupy", marks=pytest.mark.gpu)]


@pytest.fixture(params=PLACES)
def place(request, tmp_path_factory):
    if request.param != "stand-in":
        yield tn.backend("numpy") if request.param == "numpy" else standin.real_gpu()
        return
    with standin.installed(standin.shared_folder(tmp_path_factory)) as backend:
        yield backend


def dots(count, down, across, size=61):
    """Return smooth dots on dark, this many pixels below and right of the center."""
    middle = size // 2
    i, j = np.ogrid[-middle : size - middle, -middle : size - middle]
    return np.tile(np.exp(-((i - down) ** 2 + (j - across) ** 2) / 18).astype(np.float32), (count, 1, 1, 1))


def centers(x):
    """Return the positions of the dots relative to the center: down and across."""
    i, j = np.ogrid[: x.shape[-2], : x.shape[-1]]
    weight = x.sum(axis=(-3, -2, -1), dtype=float)
    middle = np.array(x.shape[-2:])[:, None] // 2
    return np.stack([(x * i).sum(axis=(-3, -2, -1)), (x * j).sum(axis=(-3, -2, -1))]) / weight - middle


def moved(down, across, **settings):
    return centers(augment(dots(500, down, across), 1, 0, **NOTHING | settings))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 5, 8), (1, 1, 1)])
def test_without_any_distortion_nothing_changes(draw, dtype, shape):
    x = draw.integers(0, 256, (130, *shape)).astype(dtype)
    y = augment(x, 1, 2, **NOTHING)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


def test_a_shift_moves_up_to_so_many_pixels_down_and_across():
    down, across = moved(3, -5, shift=4) - np.array([[3], [-5]])
    for step in (down, across):
        assert -4 <= step.min() < -3.9
        assert 3.9 < step.max() <= 4
        assert abs(step.mean()) < 0.4
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.1


def test_a_rotation_turns_around_the_centre_up_to_so_many_degrees():
    down, across = moved(0, 15, rotation=20)
    np.testing.assert_allclose(np.hypot(down, across), 15, rtol=0.01)
    angle = np.degrees(np.arctan2(down, across))
    assert -20.2 < angle.min() < -19
    assert 19 < angle.max() < 20.2


def test_a_scale_acts_on_height_and_width_apart():
    """A maps positions in y to positions in x, so scale s moves pixels to 1 / (1 + s) of their distance."""
    down, across = moved(12, 10, scale=0.2)
    for share in (12 / down, 10 / across):
        assert 0.795 < share.min() < 0.81
        assert 1.19 < share.max() < 1.205
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.1


def test_a_shear_moves_across_by_what_lies_down():
    down, across = moved(10, 0, shear=0.3)
    np.testing.assert_allclose(down, 10, rtol=0.02)
    assert 2.9 < abs(across).max() < 3.1
    assert across.min() < -2.8
    down, across = moved(0, 10, shear=0.3)
    np.testing.assert_allclose([down, across - 10], 0, atol=0.02)


def test_an_elastic_distortion_is_smoothed_noise():
    """The deviation is elastic / sqrt(3) (uniform noise) divided by 2 sqrt(pi) smoothness (Gaussian)."""
    places = np.tile(np.indices((61, 61)).astype(np.float32), (500, 1, 1, 1))
    moved = (augment(places, 1, 0, **NOTHING | {"elastic": 20, "smoothness": 4}) - places)[..., 20:41, 20:41]
    expected = 20 / math.sqrt(3) / (2 * math.sqrt(math.pi) * 4)
    np.testing.assert_allclose(moved.std(axis=(0, 2, 3)), expected, rtol=0.03)
    down, across = moved[..., 10, 10].T
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.15
    for apart in (1, 4, 8):  # two Gaussians, so far from each other, overlap
        overlap = math.exp(-((apart / 4) ** 2) / 4)
        assert np.corrcoef(down, moved[:, 0, 10, 10 + apart])[0, 1] == pytest.approx(overlap, abs=0.1)
        assert np.corrcoef(down, moved[:, 0, 10 + apart, 10])[0, 1] == pytest.approx(overlap, abs=0.1)


def test_interpolation_is_linear_and_0_outside():
    x = np.zeros((200, 1, 1, 9), np.float32)
    x[..., 3], x[..., 4] = 10, 20
    y = augment(x, 3, 0, **NOTHING | {"scale": 0.5})[:, 0, 0]
    assert ((y >= 0) & (y <= 20)).all()
    np.testing.assert_allclose(y[:, 4], 20)
    step = y[:, 5] / 20
    assert ((step >= 0) & (step <= 0.5)).all()  # its neighbor is interpolated 0.5 to 1.5 pixels from the bright pixel
    edge = augment(np.ones((200, 2, 2), np.float32), 3, 0, **NOTHING | {"shift": 1})
    shares = edge.sum(axis=(1, 2)) / 4
    assert 0.25 <= shares.min() < 0.4
    assert 0.9 < shares.max() <= 1


def test_pixels_are_rounded_and_channels_are_distorted_alike(draw):
    x = draw.integers(0, 256, (20, 3, 14, 11), dtype="uint8")
    whole, exact = augment(x, 1, 1), augment(x.astype("float64"), 1, 1)
    np.testing.assert_array_equal(whole, np.rint(exact))
    np.testing.assert_array_equal(augment(x[:, 1], 1, 1), whole[:, 1])
    np.testing.assert_array_equal(augment(x[:, 1:2], 1, 1), whole[:, 1:2])


def test_a_picture_depends_on_seed_epoch_and_its_place_alone(draw):
    x = draw.integers(0, 256, (300, 28, 28), dtype="uint8")
    before, y = x.copy(), augment(x, 1, 1)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(augment(x, 1, 1), y)
    np.testing.assert_array_equal(augment(x[:131], 1, 1), y[:131])
    same = np.tile(x[:1], (300, 1, 1))
    distortions = [augment(same, 1, 1), augment(same, 1, 2), augment(same, 2, 1)]
    assert len(np.unique(np.concatenate(distortions), axis=0)) == 900


def test_what_a_seed_gives_stays_what_it_was():
    places = np.tile(np.indices((28, 28)).astype(np.float32), (130, 1, 1, 1))
    y = augment(places, 7, 3)[[0, 129], :, 10, 6:22:5]
    first = [[6.7855, 7.5102, 7.6416, 8.7338], [7.2215, 10.8212, 14.5983, 18.8361]]
    last = [[10.9049, 11.1568, 10.6597, 10.6444], [7.5527, 12.7510, 17.6988, 22.4730]]
    np.testing.assert_allclose(y, [first, last], atol=1e-3)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_counts(draw, name):
    x = draw.integers(0, 256, (5, 28, 28), dtype="uint8")
    assert (augment(x, 1, 1) != augment(x, 1, 1, **{name: 0})).mean() > 0.1
    assert (augment(x, 1, 1, **NOTHING | {name: 0.1}) != augment(x, 1, 1, **NOTHING)).any()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_pictures_are_equal_on_every_backend(place, draw, dtype):
    x = draw.uniform(0, 256, (150, 2, 28, 25)).astype(dtype)
    there = place.to_device(x)
    standin.counts.clear()
    y = augment(there, 7, 3)
    assert not standin.counts["synchronizations"]
    np.testing.assert_array_equal(place.to_host(y), augment(x, 7, 3))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_an_epoch_is_trained_on_its_own_pictures(draw, backend):
    x, t = draw.integers(0, 256, (50, 1, 8, 8), dtype="uint8"), draw.integers(0, 3, 50)
    layers = tn.Conv2D(1, 4, 3), tn.BatchNorm(4), tn.ReLU(), tn.Flatten(), tn.Dense(144, 3)
    one, other = (tn.Network(*(layer.copy() for layer in layers), seed=5, backend=backend) for _ in range(2))
    distort = partial(augment, shift=1, elastic=5)
    tn.fit(one, tn.Adam(one), x, t, epochs=2, batch_size=8, augment=distort)
    optimizer = tn.Adam(other)
    for epoch in range(2):
        tn.fit(other, optimizer, distort(x, 5, epoch), t, epochs=1, batch_size=8)
    np.testing.assert_array_equal(one.theta, other.theta)
    plain = tn.Network(*(layer.copy() for layer in layers), seed=5, backend=backend)
    tn.fit(plain, tn.Adam(plain), x, t, epochs=2, batch_size=8)
    assert (plain.theta != one.theta).any()


def test_a_training_that_was_ended_goes_on_with_the_same_pictures(draw, tmp_path):
    x, t = draw.integers(0, 256, (50, 1, 8, 8), dtype="uint8"), draw.integers(0, 3, 50)
    whole, ended = (tn.Network(tn.Flatten(), tn.Dense(64, 3), seed=5) for _ in range(2))
    settings = {"epochs": 3, "batch_size": 8, "augment": augment}
    tn.fit(whole, tn.Adam(whole), x, t, **settings)

    def lost_in_the_second_epoch(x, seed, epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return augment(x, seed, epoch)

    lost = settings | {"augment": lost_in_the_second_epoch}
    with pytest.raises(KeyboardInterrupt):
        tn.fit(ended, tn.Adam(ended), x, t, **lost, checkpoint=tmp_path / "kept", every=3)
    again = tn.Network(tn.Flatten(), tn.Dense(64, 3), seed=5)
    tn.fit(again, tn.Adam(again), x, t, **settings, checkpoint=tmp_path / "kept", every=3)
    np.testing.assert_array_equal(again.theta, whole.theta)


@pytest.mark.parametrize(
    ("x", "settings", "message"),
    [
        (
            np.zeros((4, 784), "uint8"),
            {},
            r"expected pictures \(N, H, W\).*got uint8 \(4, 784\); for rows .* x.reshape",
        ),
        (np.zeros((4, 28, 28), "int64"), {}, r"floats or uint8, got int64"),
        (np.zeros((4, 28, 28)), {"shift": -1}, "shift of at least 0, got -1"),
        (np.zeros((4, 28, 28)), {"rotation": math.nan}, "rotation of at least 0, got nan"),
        (np.zeros((4, 28, 28)), {"elastic": math.inf}, "elastic of at least 0, got inf"),
        (np.zeros((4, 28, 28)), {"scale": 1}, "scale of at least 0 and below 1, got 1"),
        (np.zeros((4, 28, 28)), {"smoothness": 0}, "smoothness of at least 0 and above 0, got 0"),
    ],
)
def test_what_cannot_be_distorted_is_refused(x, settings, message):
    with pytest.raises(ValueError, match=f"augment: expected {message}" if settings else message):
        augment(x, 0, 0, **settings)


def test_fit_takes_a_function_that_gives_what_it_took(draw):
    x, t = np.zeros((4, 1, 8, 8), "float32"), np.arange(4) % 2
    net = tn.Network(tn.Flatten(), tn.Dense(64, 2))
    before = net.theta.copy()
    with pytest.raises(TypeError, match=r"fit takes a function augment\(x, seed, epoch\).*got 'shift'"):
        tn.fit(net, tn.Adam(net), x, t, epochs=1, augment="shift")
    for wrong in (lambda x, seed, epoch: x[:2], lambda x, seed, epoch: x.astype(float), lambda x, seed, epoch: None):
        with pytest.raises(ValueError, match=r"augment must give what it takes, ndarray float32 \(4, 1, 8, 8\); got"):
            tn.fit(net, tn.Adam(net), x, t, epochs=1, augment=wrong)
    np.testing.assert_array_equal(net.theta, before)
    assert net.epoch == 0
