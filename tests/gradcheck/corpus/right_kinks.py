"""Right functions at ties and kinks, with any valid subgradient, and close to them.

The kind is "kink" if the check's number lies between both one-sided slopes along every direction, for every dy. It is
"several kinks" if this holds only for one output and one input at a time: an array has several kinks there.
"""

from __future__ import annotations

import numpy as np

import tinynet as tn

from . import Case
from .case_builders import Function, elementwise, function, normal

# --------------------------------------------------------------------------------------- of one number

ONE_AT_ZERO = np.array([-1.2, 0.0, 0.7, 2.1])
MANY_AT_ZERO = np.array([[-1.2, 0.0, 0.7], [0.0, 0.0, -0.3]])
BETWEEN_BOUNDS = np.array([-0.2, 1.0, 0.4, 1.7])


def relu(x):
    return np.maximum(x, 0)


def at(kink: float, slope: float, elsewhere: Function) -> Function:
    """Return the slope of a function, with this value at the kink."""
    return lambda x: np.where(x == kink, slope, elsewhere(x))


def relu_slope(x):
    return np.where(x > 0, 1.0, 0.0)


def leaky(x):
    return np.maximum(x, 0.1 * x)


def leaky_slope(x):
    return np.where(x > 0, 1.0, 0.1)


def elu(x):
    return np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0)))


def elu_slope(x):
    return np.where(x > 0, 1.0, 0.5 * np.exp(np.minimum(x, 0)))


def between(low: float, high: float, slope: float = 1) -> Function:
    return lambda x: np.where((x > low) & (x < high), slope, 0.0)


def hard_sigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


def hard_swish(x):
    return x * hard_sigmoid(x)


def hard_swish_slope(x):
    return hard_sigmoid(x) + x * between(-3, 3, 1 / 6)(x)


def soft_threshold(x):
    return np.sign(x) * np.maximum(abs(x) - 0.5, 0)


def smooth_l1(x):
    return np.where(abs(x) < 1, x * x / 2, abs(x) - 0.5)


def triangle(x):
    return abs(x - np.round(x))


def two_pieces(x):
    return np.where(x > 0, x * x, -x)


def two_pieces_slope(x):
    return np.where(x > 0, 2 * x, -1.0)


def sine_or_zero(x):
    return np.where(x > -1, np.sin(x + 1), 0)


KINKS = [
    (f"{name} at its kink, slope {slope:.2g}", f, at(kink, slope, elsewhere), x)
    for name, f, elsewhere, kink, x, slopes in [
        ("relu", relu, relu_slope, 0, ONE_AT_ZERO, (0, 0.5, 1)),
        ("abs", abs, np.sign, 0, ONE_AT_ZERO, (0, 1, -1, 0.3)),
        ("leaky relu", leaky, leaky_slope, 0, ONE_AT_ZERO, (0.1, 0.55, 1)),
        ("ELU", elu, elu_slope, 0, ONE_AT_ZERO, (0.5, 1)),
        ("clip to 1", lambda x: np.clip(x, -1, 1), between(-1, 1), 1, BETWEEN_BOUNDS, (0, 0.5, 1)),
        ("relu6", lambda x: np.clip(x, 0, 6), between(0, 6), 6, 6 * BETWEEN_BOUNDS, (0, 1)),
        ("hard tanh", lambda x: np.clip(x, -1, 1), between(-1, 1), -1, -BETWEEN_BOUNDS, (0, 1)),
        ("hard sigmoid", hard_sigmoid, between(-3, 3, 1 / 6), 3, 3 * BETWEEN_BOUNDS, (0, 1 / 6)),
        ("hard swish", hard_swish, hard_swish_slope, 3, 3 * BETWEEN_BOUNDS, (1, 1.5)),
        ("soft threshold", soft_threshold, lambda x: relu_slope(abs(x) - 0.5), 0.5, BETWEEN_BOUNDS / 2, (0, 1)),
        ("distance to an integer", triangle, lambda x: np.sign(x - np.round(x)), 2, np.array([2.0, 0.3]), (0, 1, -1)),
        ("where", two_pieces, two_pieces_slope, 0, ONE_AT_ZERO, (0, -1)),
        (
            "where, sine or zero",
            sine_or_zero,
            lambda x: np.where(x > -1, np.cos(x + 1), 0),
            -1,
            -BETWEEN_BOUNDS,
            (0, 1),
        ),
    ]
    for slope in slopes
]
MANY_KINKS = [
    (f"{name} at many kinks, slope {slope_at_kink:g}", f, at(0, slope_at_kink, slope))
    for name, f, slope, slopes in [
        ("relu", relu, relu_slope, (0, 0.5, 1)),
        ("abs", abs, np.sign, (0, 1)),
        ("leaky relu", leaky, leaky_slope, (0.1, 1)),
    ]
    for slope_at_kink in slopes
]
NEAR = [
    (f"{name}, {distance:g} from its kink", f, slope, distance * np.array([1.0, -1.0]))
    for name, f, slope in [("relu", relu, relu_slope), ("abs", abs, np.sign), ("leaky relu", leaky, leaky_slope)]
    for distance in [1e-2, 1e-4, 1e-6, 1e-9]
]
ELEMENTWISE = [
    *(elementwise("kink", name, f, slope, x) for name, f, slope, x in KINKS),
    *(elementwise("several kinks", name, f, slope, MANY_AT_ZERO) for name, f, slope in MANY_KINKS),
    *(elementwise("kink", name, f, slope, x) for name, f, slope, x in NEAR),
]


def smooth_elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def sinc_slope(x):
    z = np.where(x == 0, 1, x)
    return np.where(x == 0, 0, (np.cos(np.pi * z) - np.sinc(z)) / z)


# The second derivative has a kink here, or the kinks of two terms cancel.
CORNERS = [
    elementwise("kink", f"{name} at its corner", f, slope, x)
    for name, f, slope, x in [
        ("squared relu", lambda x: relu(x) ** 2, lambda x: 2 * relu(x), MANY_AT_ZERO),
        ("cubed relu", lambda x: relu(x) ** 3, lambda x: 3 * relu(x) ** 2, MANY_AT_ZERO),
        ("x |x|", lambda x: x * abs(x), lambda x: 2 * abs(x), MANY_AT_ZERO),
        ("|x|^1.5", lambda x: abs(x) ** 1.5, lambda x: 1.5 * np.sign(x) * abs(x) ** 0.5, MANY_AT_ZERO),
        ("smooth L1", smooth_l1, lambda x: np.clip(x, -1, 1), np.array([1.0, -1.0, 0.4, 3.0])),
        ("ELU of slope 1", smooth_elu, lambda x: np.exp(np.minimum(x, 0)), MANY_AT_ZERO),
        ("squared hinge", lambda x: relu(1 - x) ** 2, lambda x: -2 * relu(1 - x), BETWEEN_BOUNDS),
        ("relu(x) - relu(-x)", lambda x: relu(x) - relu(-x), np.ones_like, MANY_AT_ZERO),
        ("sqrt(x^2 + 1e-6)", lambda x: np.sqrt(x * x + 1e-6), lambda x: x / np.sqrt(x * x + 1e-6), MANY_AT_ZERO),
        ("sinc", np.sinc, sinc_slope, MANY_AT_ZERO),
    ]
]


STEPS = [
    elementwise("kink", f"{name} beside a smooth term", lambda x, f=f: np.sin(x) + f(x), np.cos, [-1.3, 0.4, 2.7, 0.9])
    for name, f in [("floor", np.floor), ("round", np.round), ("sign", np.sign), ("x > 0", lambda x: 1.0 * (x > 0))]
]
JUMPS = [
    elementwise("kink", "x - floor(x)", lambda x: x - np.floor(x), np.ones_like, [-1.3, 0.4, 2.7]),
    elementwise("kink", "x mod 0.7", lambda x: x % 0.7, np.ones_like, [-1.3, 0.4, 2.6]),
    elementwise(
        "kink", "hard shrink", lambda x: np.where(abs(x) > 0.5, x, 0), lambda x: 1.0 * (abs(x) > 0.5), [-1.3, 0.4, 2.7]
    ),
]

# ------------------------------------------------------------------------------------------------ ties

TIED_ROW = np.array([[0.3, 1.5, 1.5, -0.2], [0.1, -0.7, 0.4, 0.9], [-1.1, 2.0, 0.6, 0.5]])
ALL_TIED = np.full((1, 4), 0.7)


def first_largest(x):
    return np.eye(x.shape[-1])[x.argmax(axis=-1)]


def last_largest(x):
    return first_largest(x[..., ::-1])[..., ::-1]


def mean_largest(x):
    largest = x == x.max(axis=-1, keepdims=True)
    return largest / largest.sum(axis=-1, keepdims=True)


CHOICES = {"first": first_largest, "last": last_largest, "mean": mean_largest}


def row_max(x):
    return x.max(axis=-1)


def row_min(x):
    return x.min(axis=-1)


def sorted_backward(reverse: bool) -> Function:
    """Return the backward of sorting; equal numbers keep their order, or are reversed."""

    def backward(dy, x):
        order = np.argsort(x[::-1] if reverse else x, kind="stable")
        dx = np.zeros_like(x)
        dx[len(x) - 1 - order if reverse else order] = dy
        return dx

    return backward


def top_two(x):
    return np.sort(x)[:-3:-1]


def top_two_backward(dy, x):
    dx = np.zeros_like(x)
    dx[np.argsort(-x, kind="stable")[:2]] = dy
    return dx


def median_backward(dy, x):
    order = np.argsort(x, kind="stable")
    dx, n = np.zeros_like(x), len(x)
    dx[order[(n - 1) // 2]] += dy / 2
    dx[order[n // 2]] += dy / 2
    return dx


def windows(x):
    """Return the 2 x 2 patches of a picture (rows, columns) as rows (patches, 4)."""
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).swapaxes(1, 2).reshape(-1, 4)


def picture(rows, shape):
    return rows.reshape(shape[0] // 2, shape[1] // 2, 2, 2).swapaxes(1, 2).reshape(shape)


def pool(x):
    return windows(x).max(axis=-1)


def maximum_backward(share: float) -> Function:
    """Return the backward of max(a, b) that gives this share of dy to a if both are equal."""

    def backward(dy, a, b):
        to_a = np.where(a == b, share, a > b)
        return dy * to_a, dy * (1 - to_a)

    return backward


ONE_TIED_PATCH = np.array([[0.1, 0.8, 0.3, -0.4], [0.8, -1.0, 1.2, 0.2]])
TIES = [
    *(
        case
        for name, choice in CHOICES.items()
        for case in [
            function("kink", f"max, {name} of a tie", row_max, lambda dy, x, c=choice: dy[:, None] * c(x), TIED_ROW),
            function("kink", f"max of equal numbers, {name}", np.max, lambda dy, x, c=choice: dy * c(x), ALL_TIED),
            function("kink", f"min, {name} of a tie", row_min, lambda dy, x, c=choice: dy[:, None] * c(-x), -TIED_ROW),
            function(
                "kink",
                f"max pool, {name} of a tie",
                pool,
                lambda dy, x, c=choice: picture(dy[:, None] * c(windows(x)), x.shape),
                ONE_TIED_PATCH,
            ),
            function(
                "several kinks",
                f"max pool of a black picture, {name}",
                pool,
                lambda dy, x, c=choice: picture(dy[:, None] * c(windows(x)), x.shape),
                np.zeros((2, 4)),
            ),
        ]
    ),
    *(
        function("kink", f"maximum of two, share {share}", np.maximum, maximum_backward(share), [1.0, 0.2], [1.0, 0.7])
        for share in (0, 0.5, 1)
    ),
    function(
        "kink",
        "maximum of one array with itself",
        lambda x: np.maximum(x, x),
        lambda dy, x: dy,
        (4,),
    ),
    *(
        function("kink", f"sort with a tie{name}", np.sort, sorted_backward(reverse), [0.5, -0.2, 0.5, 1.3])
        for name, reverse in [("", False), (", reversed", True)]
    ),
    function("kink", "sort without a tie", np.sort, sorted_backward(False), (7,)),
    function("kink", "top two with a tie", top_two, top_two_backward, [0.4, 0.9, -0.3, 0.4]),
    function("kink", "median with a tie", np.median, median_backward, [0.5, -0.2, 0.5, 1.3, -0.6]),
    function("kink", "median of an even number", np.median, median_backward, (6,)),
    *(
        function(
            "kink",
            f"max of numbers {gap:g} apart",
            np.max,
            lambda dy, x: dy * first_largest(x),
            np.array([0.4, 0.4 + gap, -1]),
        )
        for gap in (1e-3, 1e-5, 1e-8)
    ),
]

# ------------------------------------------------------------------------------------ norms and losses


def norm_backward(dy, x):
    length = np.linalg.norm(x)
    return dy * x / length if length else np.zeros_like(x)


def row_norms(x):
    return np.linalg.norm(x, axis=-1)


def row_norms_backward(dy, x):
    lengths = row_norms(x)[:, None]
    return dy[:, None] * x / np.where(lengths == 0, 1, lengths)


def infinity_norm_backward(dy, x):
    return dy * np.sign(x) * first_largest(abs(x))


def hinge(z, t):
    return relu(1 - t * z).mean()


def hinge_backward(dy, z, t):
    return dy * np.where(t * z < 1, -t, 0) / z.size, None


def classes_hinge(z, label):
    """Return max(0, 1 + the largest other z - z of the label)."""
    others = np.delete(z, label)
    return relu(1 + others.max() - z[label])


def classes_hinge_backward(dy, z, label):
    margins = np.where(np.arange(len(z)) == label, -np.inf, z)
    is_active = 1 + margins.max() > z[label]
    eye = np.eye(len(z))
    return dy * is_active * (eye[margins.argmax()] - eye[label]), None


def triplet(anchor, positive, negative):
    return relu(1 + ((anchor - positive) ** 2).sum() - ((anchor - negative) ** 2).sum())


def triplet_backward(dy, anchor, positive, negative):
    active = dy * (triplet(anchor, positive, negative) > 0)
    return 2 * active * (negative - positive), 2 * active * (positive - anchor), 2 * active * (anchor - negative)


def pinball(x):
    return np.maximum(0.8 * x, -0.2 * x).sum()


def total_variation(x):
    return abs(np.diff(x)).sum()


def total_variation_backward(dy, x):
    signs = np.sign(np.diff(x))
    return dy * (np.append(0, signs) - np.append(signs, 0))


def prelu(x, slope):
    return np.where(x > 0, x, slope * x)


def prelu_backward(dy, x, slope):
    return dy * np.where(x > 0, 1, slope), (dy * np.minimum(x, 0)).sum()


KNOTS, VALUES = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0])


def piecewise(x):
    return np.interp(x, KNOTS, VALUES)


def piecewise_backward(side: str) -> Function:
    """Return the backward that takes the slope on this side of a knot."""

    def backward(dy, x):
        return dy * np.diff(VALUES)[np.searchsorted(KNOTS, x, side) - 1]

    return backward


def two_layers(x, W, V):
    return relu(x @ W) @ V


def two_layers_backward(dy, x, W, V):
    h = relu(x @ W)
    dz = dy @ V.T * (h > 0)
    return dz @ W.T, x.T @ dz, h.T @ dy


NORMS = [
    function("kink", name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("norm at 0", np.linalg.norm, norm_backward, [np.zeros(4)]),
        ("norm close to 0", np.linalg.norm, norm_backward, [normal(1e-6, 4)]),
        ("norms of rows, one of them 0", row_norms, row_norms_backward, [np.array([[0.0, 0.0], [3.0, -1.0]])]),
        ("infinity norm with a tie", lambda x: abs(x).max(), infinity_norm_backward, [[0.5, -1.5, 1.5]]),
        ("sum of |x| with zeros", lambda x: abs(x).sum(), lambda dy, x: dy * np.sign(x), [MANY_AT_ZERO]),
        ("sum of relu with zeros", lambda x: relu(x).sum(), lambda dy, x: dy * (x > 0), [MANY_AT_ZERO]),
        ("sum of |x|, all zero", lambda x: abs(x).sum(), lambda dy, x: dy * np.sign(x), [np.zeros((3, 2))]),
        ("elastic net", lambda x: (abs(x) + x * x).sum(), lambda dy, x: dy * (np.sign(x) + 2 * x), [MANY_AT_ZERO]),
        ("range with ties", np.ptp, lambda dy, x: dy * (first_largest(x) - first_largest(-x)), [[1.0, 0.0, 1.0, 0.0]]),
        ("hinge loss at its corner", hinge, hinge_backward, [[1.0, 0.3, -2.0], np.array([1, -1, -1])]),
        ("hinge loss of classes with a tie", classes_hinge, classes_hinge_backward, [[0.5, 0.2, 0.5], 1]),
        ("hinge loss of classes at its corner", classes_hinge, classes_hinge_backward, [[0.5, 1.5, -0.5], 1]),
        ("triplet loss", triplet, triplet_backward, [(3,), (3,), normal(0.1, 3)]),
        ("triplet loss at its corner", triplet, triplet_backward, [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]),
        ("pinball loss", pinball, lambda dy, x: dy * np.where(x > 0, 0.8, -0.2), [ONE_AT_ZERO]),
        ("total variation", total_variation, total_variation_backward, [[0.5, 0.5, 1.2, -0.3, -0.3]]),
        ("PReLU at 0", prelu, prelu_backward, [ONE_AT_ZERO, 0.25]),
        ("linear interpolation at a knot, left slope", piecewise, piecewise_backward("left"), [[1.0, 0.3, 1.8]]),
        ("linear interpolation at a knot, right slope", piecewise, piecewise_backward("right"), [[1.0, 0.3, 1.8]]),
        ("maxout", lambda x: x.max(axis=-1), lambda dy, x: dy[..., None] * first_largest(x), [(3, 2, 4)]),
        (
            "two layers with one unit at 0",
            two_layers,
            two_layers_backward,
            [[[1.0, 1.0]], [[0.5, 1], [-0.5, 1]], (2, 1)],
        ),
    ]
]


def at_zero(name: str, layer: tn.Layer, x: np.ndarray) -> Case:
    return Case(f"{name}, layer", "several kinks", "layer", lambda: (layer.copy(), x.copy()))


LAYERS = [
    at_zero("ReLU at zeros", tn.ReLU(), MANY_AT_ZERO),
    at_zero("LeakyReLU at zeros", tn.LeakyReLU(), MANY_AT_ZERO),
    at_zero("MaxPool2D of a black picture", tn.MaxPool2D(2), np.zeros((1, 1, 4, 4))),
    at_zero("ReLU of zeros", tn.ReLU(), np.zeros((3, 2))),
    at_zero("ReLU after a Dense of zeros", tn.Residual(tn.Dense(3, 3, init="zeros"), tn.ReLU()), np.eye(2, 3)),
]

CASES = [*ELEMENTWISE, *CORNERS, *STEPS, *JUMPS, *TIES, *NORMS, *LAYERS]
