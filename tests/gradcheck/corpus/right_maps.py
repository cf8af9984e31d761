"""Right functions: the maps of `functions.py` with their backward, also with an axis of networks in front."""

from __future__ import annotations

import numpy as np

from tinynet import functions as F

from . import Case
from .case_builders import Function, function, normal, one_hot, rows_of_sum_one, uniform

KIND = "maps"
EPS = 1e-5
ROWS = [(5, 4), (1, 4), (2, 3, 4)]


def of_output(f: Function, backward: Function) -> tuple[Function, Function]:
    """Return f and the backward that takes f's output."""
    return f, lambda dy, x: backward(dy, f(x))


def over_rows(name: str, forward: Function, backward: Function) -> list[Case]:
    return [function(KIND, f"functions.{name} {shape}", forward, backward, shape) for shape in ROWS]


def leaky(x):
    return F.leaky_relu(x, 0.1)


def dropout_mask(x):
    return F.dropout(np.ones_like(x), 0.4, (3, 7))[1]


ACTIVATIONS = [
    *over_rows("relu", *of_output(F.relu, F.relu_backward)),
    *over_rows("leaky_relu", *of_output(leaky, lambda dy, y: F.leaky_relu_backward(dy, y, 0.1))),
    *over_rows("tanh", *of_output(F.tanh, F.tanh_backward)),
    *over_rows("sigmoid", *of_output(F.sigmoid, F.sigmoid_backward)),
    *over_rows("gelu", F.gelu, F.gelu_backward),
    *over_rows("softmax", *of_output(F.softmax, F.softmax_backward)),
    *over_rows(
        "dropout",
        lambda x: F.dropout(x, 0.4, (3, 7))[0],
        lambda dy, x: F.dropout_backward(dy, dropout_mask(x)),
    ),
]


def dense_backward(dy, x, W, b):
    dW, db = np.empty_like(W), np.empty_like(b)
    F.dense_backward_parameters(dy, x, dW, db)
    return F.dense_backward(dy, W), dW, db


DENSE = [
    function(KIND, f"functions.dense {shapes[0]}", F.dense, dense_backward, *shapes)
    for shapes in [((5, 4), (4, 3), (1, 3)), ((1, 6), (6, 1), (1, 1)), ((2, 5, 4), (2, 4, 3), (2, 1, 3))]
]


def patches_case(shape: tuple[int, ...], *settings: int) -> Case:
    return function(
        KIND,
        f"functions.patches {shape}, size, stride, padding {settings}",
        lambda x: F.patches(x, *settings),
        lambda dy, x: F.patches_backward(dy, x.shape, *settings),
        shape,
    )


def columns_case(shape: tuple[int, ...], *settings: int) -> Case:
    size = settings[0]
    columns = (shape[0], shape[1] * size**2, np.prod(F.positions(shape, *settings)))
    return function(
        KIND,
        f"functions.patches_backward {shape}, size, stride, padding {settings}",
        lambda dy: F.patches_backward(dy, shape, *settings),
        lambda dy, x: F.patches(dy, *settings),
        columns,
    )


def conv2d_case(stride: int, padding: int, *shapes: tuple[int, ...]) -> Case:
    def backward(dy, x, W, b):
        dW, db = np.empty_like(W), np.empty_like(b)
        F.conv2d_backward_parameters(dy, x, dW, db, stride, padding)
        return F.conv2d_backward(dy, W, x.shape, stride, padding), dW, db

    name = f"functions.conv2d {shapes[0]}, stride {stride}, padding {padding}"
    return function(KIND, name, lambda x, W, b: F.conv2d(x, W, b, stride, padding), backward, *shapes)


PICTURES = [(1, 3, 4, 4), (2, 1, 5, 4), (2, 1, 2, 2, 3)]
CONVOLUTIONS = [
    patches_case((2, 2, 4, 3), 3, 1, 0),
    patches_case((2, 1, 4, 5), 2, 2, 1),
    patches_case((2, 1, 2, 3, 3), 2, 1, 0),
    columns_case((1, 2, 4, 3), 2, 1, 0),
    columns_case((1, 1, 4, 4), 3, 2, 1),
    *(
        conv2d_case(stride, padding, (2, 2, 4, 3), (3, 2, 2, 2), (3, 1, 1))
        for stride, padding in [(1, 0), (1, 1), (2, 0), (2, 1), (3, 2)]
    ),
    conv2d_case(1, 0, (2, 2, 2, 3, 2), (2, 2, 2, 2, 2), (2, 2, 1, 1)),
    conv2d_case(1, 0, (3, 4, 2, 2), (2, 4, 1, 1), (2, 1, 1)),
]
POOLS = [
    case
    for shape in PICTURES
    for case in [
        function(
            KIND,
            f"functions.max_pool2d {shape}",
            lambda x: F.max_pool2d(x, 2),
            lambda dy, x: F.max_pool2d_backward(dy, x, 2),
            shape,
        ),
        function(
            KIND,
            f"functions.average_pool2d {shape}",
            lambda x: F.average_pool2d(x, 2),
            lambda dy, x: F.average_pool2d_backward(dy, x.shape, 2),
            shape,
        ),
        function(
            KIND,
            f"functions.global_average_pool {shape}",
            F.global_average_pool,
            lambda dy, x: F.global_average_pool_backward(dy, x.shape),
            shape,
        ),
    ]
]


def batch_norm_case(axes: tuple[int, ...], shape: tuple[int, ...], parameters: tuple[int, ...]) -> Case:
    def forward(x, gamma, beta):
        return F.batch_norm(x, gamma, beta, *F.moments(x, axes), EPS)

    def backward(dy, x, gamma, beta):
        dgamma, dbeta = np.empty_like(gamma), np.empty_like(beta)
        moments = F.moments(x, axes)
        F.batch_norm_backward_parameters(dy, x, *moments, EPS, axes, dgamma, dbeta)
        return F.batch_norm_backward(dy, x, gamma, *moments, EPS, dgamma, dbeta), dgamma, dbeta

    return function(KIND, f"functions.batch_norm {shape}", forward, backward, shape, parameters, parameters)


def running_batch_norm(x, gamma, beta, mean, variance):
    return F.batch_norm(x, gamma, beta, mean, variance, EPS)


def running_batch_norm_backward(dy, x, gamma, beta, mean, variance):
    deviation = np.sqrt(variance + EPS)
    x_hat = (x - mean) / deviation
    dgamma, dbeta = (dy * x_hat).sum(axis=0, keepdims=True), dy.sum(axis=0, keepdims=True)
    return gamma * dy / deviation, dgamma, dbeta, -gamma * dbeta / deviation, -gamma * dgamma / deviation**2 / 2


def layer_norm_case(shape: tuple[int, ...], parameters: tuple[int, ...]) -> Case:
    def backward(dy, x, gamma, beta):
        dgamma, dbeta = np.empty_like(gamma), np.empty_like(beta)
        F.layer_norm_backward_parameters(dy, x, EPS, dgamma, dbeta)
        return F.layer_norm_backward(dy, x, gamma, EPS), dgamma, dbeta

    return function(
        KIND,
        f"functions.layer_norm {shape}",
        lambda x, gamma, beta: F.layer_norm(x, gamma, beta, EPS),
        backward,
        shape,
        parameters,
        parameters,
    )


NORMALIZATIONS = [
    batch_norm_case((-2,), (5, 4), (1, 4)),
    batch_norm_case((-2,), (2, 5, 3), (2, 1, 3)),
    batch_norm_case((0, 2, 3), (3, 2, 3, 2), (1, 2, 1, 1)),
    function(
        KIND,
        "functions.batch_norm with running mean and variance",
        running_batch_norm,
        running_batch_norm_backward,
        *[(5, 4), (1, 4), (1, 4), (1, 4)],
        uniform(0.5, 2, 1, 4),
    ),
    layer_norm_case((5, 4), (1, 4)),
    layer_norm_case((1, 6), (1, 6)),
    layer_norm_case((2, 3, 4), (2, 1, 4)),
]


def loss_case(name: str, forward: Function, backward: Function, *inputs) -> Case:
    """Return the case of a loss; backward(z, t) is dz for dL = 1, and t has no gradient."""
    return function(
        KIND,
        f"functions.{name}",
        forward,
        lambda dy, z, t: (np.asarray(dy)[..., None, None] * backward(z, t), None),
        *inputs,
    )


def softmax_cross_entropy_backward(z, t):
    return F.softmax_cross_entropy_backward(F.softmax(z), t)


def binary_cross_entropy_backward(z, t):
    return F.binary_cross_entropy_backward(F.sigmoid(z), t)


SMOOTHED = F.smooth_labels(one_hot([0, 2, 1, 1, 0], 3), 0.2)
LOSSES = [
    *(
        loss_case(
            f"softmax_cross_entropy, {name}",
            lambda z, t: F.softmax_cross_entropy(z, t)[0],
            softmax_cross_entropy_backward,
            shape,
            t,
        )
        for name, shape, t in [
            ("labels", (5, 3), one_hot([0, 2, 1, 1, 0], 3)),
            ("soft targets", (5, 3), rows_of_sum_one(5, 3)),
            ("smoothed labels", (5, 3), SMOOTHED),
            ("two networks", (2, 5, 3), one_hot([0, 2, 1, 1, 0], 3)),
        ]
    ),
    *(
        loss_case(
            f"binary_cross_entropy {shape}",
            lambda z, t: F.binary_cross_entropy(z, t)[0],
            binary_cross_entropy_backward,
            shape,
            np.array([[0.0], [1.0], [1.0], [0.3]]),
        )
        for shape in [(4, 1), (3, 4, 1)]
    ),
    loss_case("cross_entropy, labels", F.cross_entropy, F.cross_entropy_backward, rows_of_sum_one(3, 4), np.eye(3, 4)),
    loss_case(
        "cross_entropy, soft targets",
        F.cross_entropy,
        F.cross_entropy_backward,
        rows_of_sum_one(5, 3),
        rows_of_sum_one(5, 3),
    ),
    loss_case(
        "cross_entropy, two networks",
        F.cross_entropy,
        F.cross_entropy_backward,
        uniform(0.1, 0.9, 2, 3, 2),
        rows_of_sum_one(3, 2),
    ),
    *(
        case
        for shape in [(5, 3), (2, 4, 3), (1, 1)]
        for case in [
            loss_case(f"mean_squared_error {shape}", F.mean_squared_error, F.mean_squared_error_backward, shape, shape),
            loss_case(
                f"huber {shape}",
                lambda y, t: F.huber(y, t, 0.8),
                lambda y, t: F.huber_backward(y, t, 0.8),
                normal(2, *shape),
                shape,
            ),
        ]
    ),
    function(
        KIND,
        "functions.smooth_labels",
        lambda t: F.smooth_labels(t, 0.3),
        lambda dy, t: 0.7 * dy,
        rows_of_sum_one(4, 3),
    ),
]


def gather_backward(dy, x, index):
    dx = np.zeros_like(x)
    np.add.at(dx, index, dy)
    return dx, None


GATHER = [
    function(
        KIND,
        f"functions.gather {shape}",
        lambda x, index: F.gather(x, index, x.dtype),
        gather_backward,
        shape,
        np.array([3, 0, 3, 1]),
    )
    for shape in [(5, 2), (4, 1, 2, 3)]
]

CASES = [*ACTIVATIONS, *DENSE, *CONVOLUTIONS, *POOLS, *NORMALIZATIONS, *LOSSES, *GATHER]
