"""Right functions of extreme scales: tiny and huge, beside a large offset, steep, fast, saturated, ill-conditioned."""

from __future__ import annotations

import numpy as np

import tinynet as tn
from tinynet import functions as F

from . import Case
from .case_builders import Function, drawn, elementwise, function, normal, one_hot, uniform

KIND = "scale"
SHAPE = (3, 4)


def of_x(name: str, f: Function, slope: Function, x=SHAPE) -> Case:
    return elementwise(KIND, name, f, slope, x)


SIZES = [
    case
    for size in (1e-12, 1e-8, 1e-4, 1e4, 1e8, 1e12)
    for case in [
        of_x(f"{size:g} sin(x)", lambda x, s=size: s * np.sin(x), lambda x, s=size: s * np.cos(x)),
        of_x(f"{size:g} x", lambda x, s=size: s * x, lambda x, s=size: np.full_like(x, s)),
    ]
]
OFFSETS = [
    of_x(f"sin(x) + {offset:g}", lambda x, c=offset: np.sin(x) + c, np.cos) for offset in (1e2, 1e4, 1e6, 1e8)
] + [
    function(
        KIND,
        f"the sum of sin(x) and {offset:g}",
        lambda x, c=offset: np.sin(x).sum() + c,
        lambda dy, x: dy * np.cos(x),
        SHAPE,
    )
    for offset in (-1e3, 1e5, 1e7)
]
INPUT_SIZES = [
    case
    for size in (1e-8, 1e-6, 1e-3, 1e3, 1e6, 1e8)
    for case in [
        of_x(f"x^2 of x near {size:g}", np.square, lambda x: 2 * x, normal(size, 3, 4)),
        of_x(
            f"sin(x / {size:g}) of x near {size:g}",
            lambda x, s=size: np.sin(x / s),
            lambda x, s=size: np.cos(x / s) / s,
            normal(size, 3, 4),
        ),
    ]
] + [
    of_x("x^3 of x near 1e4", lambda x: x**3, lambda x: 3 * x**2, normal(1e4, 3, 4)),
    of_x("1 / x of x near 1e-4", lambda x: 1 / x, lambda x: -1 / x**2, uniform(1e-4, 3e-4, 3, 4)),
    of_x("1 / x of x near 1e6", lambda x: 1 / x, lambda x: -1 / x**2, uniform(1e6, 3e6, 3, 4)),
    of_x("log x of x near 1e-6", np.log, lambda x: 1 / x, uniform(1e-6, 3e-6, 3, 4)),
    of_x("log x of x from 1e-6 to 1e6", np.log, lambda x: 1 / x, np.logspace(-6, 6, 7)),
    of_x("sqrt x of x near 1e-8", np.sqrt, lambda x: 0.5 / np.sqrt(x), uniform(1e-8, 3e-8, 3, 4)),
    of_x("sqrt x of x from 1e-6 to 1e6", np.sqrt, lambda x: 0.5 / np.sqrt(x), np.logspace(-6, 6, 7)),
    of_x("x log x of x near 1e-5", lambda x: x * np.log(x), lambda x: 1 + np.log(x), uniform(1e-5, 3e-5, 3, 4)),
    of_x("sin x of x near 1e4", np.sin, np.cos, normal(1, 3, 4, mean=1e4)),
    of_x("sin x of x near 1e6", np.sin, np.cos, normal(1, 3, 4, mean=1e6)),
    of_x("x^10", lambda x: x**10, lambda x: 10 * x**9, normal(2, 3, 4)),
    of_x("log(1 + 1e-8 x)", lambda x: np.log1p(1e-8 * x), lambda x: 1e-8 / (1 + 1e-8 * x)),
    of_x("exp(x) - 1 of x near 1e-10", np.expm1, np.exp, normal(1e-10, 3, 4)),
]
STEEP = [
    of_x("exp(20 x)", lambda x: np.exp(20 * x), lambda x: 20 * np.exp(20 * x)),
    of_x("exp(-20 x)", lambda x: np.exp(-20 * x), lambda x: -20 * np.exp(-20 * x), uniform(0, 2, 3, 4)),
    of_x("tanh(100 x)", lambda x: np.tanh(100 * x), lambda x: 100 / np.cosh(100 * x) ** 2, normal(0.01, 3, 4)),
    of_x("tanh(100 x), mostly flat", lambda x: np.tanh(100 * x), lambda x: 100 * (1 - np.tanh(100 * x) ** 2), (3, 4)),
    of_x(
        "sigmoid(50 x)",
        lambda x: F.sigmoid(50 * x),
        lambda x: 50 * F.sigmoid(50 * x) * F.sigmoid(-50 * x),
        normal(0.02, 3, 4),
    ),
    of_x(
        "a narrow bell",
        lambda x: np.exp(-1e4 * x * x),
        lambda x: -2e4 * x * np.exp(-1e4 * x * x),
        normal(0.01, 3, 4),
    ),
    of_x("arctan(1e3 x)", lambda x: np.arctan(1e3 * x), lambda x: 1e3 / (1 + 1e6 * x * x), normal(1e-3, 3, 4)),
    of_x("arcsin near 1", np.arcsin, lambda x: 1 / np.sqrt(1 - x * x), np.array([0.99, -0.999, 0.9999])),
    of_x("log(1 - x) near 1", lambda x: np.log1p(-x), lambda x: -1 / (1 - x), np.array([0.99, 0.999, 0.9999])),
    of_x("tan near pi / 2", np.tan, lambda x: 1 + np.tan(x) ** 2, np.array([1.5, -1.55, 1.56])),
    of_x("softplus(200 x) / 200", lambda x: np.logaddexp(0, 200 * x) / 200, lambda x: F.sigmoid(200 * x)),
]
FAST = [
    of_x(f"sin({rate:g} x)", lambda x, r=rate: np.sin(r * x), lambda x, r=rate: r * np.cos(r * x))
    for rate in (1e2, 1e3, 1e4)
] + [
    of_x("cos(1000 x)", lambda x: np.cos(1e3 * x), lambda x: -1e3 * np.sin(1e3 * x)),
    of_x("sin(1 / x)", lambda x: np.sin(1 / x), lambda x: -np.cos(1 / x) / x**2, uniform(0.02, 0.1, 3, 4)),
    of_x(
        "x + 1e-3 sin(1000 x)",
        lambda x: x + 1e-3 * np.sin(1e3 * x),
        lambda x: 1 + np.cos(1e3 * x),
    ),
]
SATURATED = [
    of_x("tanh, partly saturated", np.tanh, lambda x: 1 - np.tanh(x) ** 2, np.array([-20.0, -3, 0.2, 6, 40])),
    of_x(
        "sigmoid, partly saturated",
        F.sigmoid,
        lambda x: F.sigmoid(x) * F.sigmoid(-x),
        np.array([-800.0, -30, 0.2, 12, 800]),
    ),
    of_x("sigmoid, saturated everywhere", F.sigmoid, lambda x: F.sigmoid(x) * F.sigmoid(-x), np.array([-90.0, 60])),
    of_x("log sigmoid", lambda x: -np.logaddexp(0, -x), lambda x: F.sigmoid(-x), np.array([-500.0, -20, 0.5, 30])),
    of_x("softplus of large numbers", lambda x: np.logaddexp(0, x), F.sigmoid, np.array([-500.0, -20, 0.5, 900])),
    of_x("log cosh", lambda x: np.logaddexp(x, -x), np.tanh, np.array([-500.0, -20, 0.5, 900])),
    of_x("exp(-x^2)", lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x), np.array([-20.0, -2, 0.1, 5])),
]


def log_sum_exp(x):
    largest = x.max(axis=-1, keepdims=True)
    return largest[..., 0] + np.log(np.exp(x - largest).sum(axis=-1))


def log_sum_exp_backward(dy, x):
    return dy[..., None] * F.softmax(x)


def softmax_backward(dy, x):
    return F.softmax_backward(dy, F.softmax(x))


def loss_case(name: str, make: Function, z, t) -> Case:
    return Case(f"{name}, loss", KIND, "loss", lambda: (make(), *drawn(name, z, t)))


LABELS, BINARY = one_hot([0, 2, 1, 1], 3), np.array([[0.0], [1.0], [1.0], [0.0]])
LOGITS = [
    case
    for size in (50, 500, 1e4)
    for case in [
        function(KIND, f"softmax of logits near {size:g}", F.softmax, softmax_backward, normal(size, 4, 3)),
        function(KIND, f"log-sum-exp of logits near {size:g}", log_sum_exp, log_sum_exp_backward, normal(size, 4, 3)),
        loss_case(f"SoftmaxCrossEntropy of logits near {size:g}", tn.SoftmaxCrossEntropy, normal(size, 4, 3), LABELS),
        loss_case(f"BinaryCrossEntropy of logits near {size:g}", tn.BinaryCrossEntropy, normal(size, 4, 1), BINARY),
    ]
] + [
    function(KIND, f"softmax of logits with the mean {mean:g}", F.softmax, softmax_backward, normal(1, 4, 3, mean=mean))
    for mean in (1e3, -1e6)
]
LOGITS += [
    loss_case("MeanSquaredError of numbers near 1e6", tn.MeanSquaredError, normal(1e6, 3, 2), normal(1e6, 3, 2)),
    loss_case("MeanSquaredError of numbers near 1e-6", tn.MeanSquaredError, normal(1e-6, 3, 2), normal(1e-6, 3, 2)),
    loss_case("Huber of numbers near 1e6", tn.Huber, normal(1e6, 3, 2), normal(1e6, 3, 2)),
    loss_case("CrossEntropy of small probabilities", tn.CrossEntropy, np.array([[1e-5, 0.99999]] * 2), np.eye(2)),
]


def variance_backward(dy, x):
    return dy * 2 * (x - x.mean()) / x.size


def deviation_backward(dy, x):
    return dy * (x - x.mean()) / x.size / x.std()


def product_backward(dy, x):
    return dy * x.prod() / x


HILBERT = 1 / (1 + np.arange(4) + np.arange(4)[:, None])
SHIFTED = [
    function(KIND, f"variance of numbers near {mean:g}", np.var, variance_backward, normal(1, 8, mean=mean))
    for mean in (1e2, 1e4, 1e6)
] + [
    function(KIND, name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("standard deviation of numbers near 1e4", np.std, deviation_backward, [normal(1, 8, mean=1e4)]),
        ("variance of numbers of size 1e-5", np.var, variance_backward, [normal(1e-5, 8)]),
        ("difference of numbers near 1e5", np.subtract, lambda dy, x, y: (dy, -dy), [normal(1, 5, mean=1e5)] * 2),
        ("product of 20 numbers", np.prod, product_backward, [normal(1, 20, mean=3)]),
        ("product of small numbers", np.prod, product_backward, [normal(1e-3, 5)]),
        (
            "solve with a Hilbert matrix",
            lambda b: np.linalg.solve(HILBERT, b),
            lambda dy, b: np.linalg.solve(HILBERT, dy),
            [(4,)],
        ),
    ]
]


def small_and_large(x, y):
    return (1e-3 * np.sin(x) + 1e5 * np.cos(y)).sum()


def small_and_large_backward(dy, x, y):
    return dy * 1e-3 * np.cos(x), dy * -1e5 * np.sin(y)


WEIGHTS = 10.0 ** np.arange(-6, 7, 2)


def badly_scaled(a, b):
    return np.exp(1e-6 * a) * np.sin(b * 1e3)


def badly_scaled_backward(dy, a, b):
    y = badly_scaled(a, b)
    return dy * 1e-6 * y, dy * 1e3 * np.exp(1e-6 * a) * np.cos(b * 1e3)


MIXED = [
    function(KIND, name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("1e-3 sin(x) beside 1e5 cos(y)", small_and_large, small_and_large_backward, [(5,), (5,)]),
        (
            "1e-3 sin(x) in an array with 1e5 sin(x)",
            lambda x: np.sin(x) @ [1e-3, 1e5],
            lambda dy, x: dy[:, None] * [1e-3, 1e5] * np.cos(x),
            [(4, 2)],
        ),
        ("weights from 1e-6 to 1e6", lambda x: WEIGHTS * np.sin(x), lambda dy, x: dy * WEIGHTS * np.cos(x), [(7,)]),
        (
            "weights from 1e-6 to 1e6, summed",
            lambda x: WEIGHTS @ np.sin(x),
            lambda dy, x: dy * WEIGHTS * np.cos(x),
            [(7,)],
        ),
        ("inputs from 1e-6 to 1e6", np.arcsinh, lambda dy, x: dy / np.hypot(1, x), [WEIGHTS]),
        ("inputs from 1e-6 to 1e6, squared", np.square, lambda dy, x: dy * 2 * x, [WEIGHTS]),
        (
            "outputs from 1e-6 to 1e6",
            lambda x: np.outer(WEIGHTS, np.sin(x)),
            lambda dy, x: WEIGHTS @ dy * np.cos(x),
            [(3,)],
        ),
        ("badly scaled inputs", badly_scaled, badly_scaled_backward, [normal(1e6, 4), normal(1e-3, 4)]),
        (
            "one large gradient among small ones",
            lambda x: x**4,
            lambda dy, x: dy * 4 * x**3,
            [np.array([1e-2, 0.5, 300])],
        ),
        (
            "a gradient of zero at a minimum",
            lambda x: ((x - 1) ** 2).sum(),
            lambda dy, x: dy * 2 * (x - 1),
            [np.ones(4)],
        ),
        ("a gradient of zero of a flat function", lambda x: x**4, lambda dy, x: dy * 4 * x**3, [np.zeros(4)]),
        ("a saddle", np.multiply, lambda dy, x, y: (dy * y, dy * x), [np.zeros(3), np.zeros(3)]),
    ]
]

CASES = [*SIZES, *OFFSETS, *INPUT_SIZES, *STEEP, *FAST, *SATURATED, *LOGITS, *SHIFTED, *MIXED]
