"""Right functions: normalizations of activations, of weights and of single vectors."""

from __future__ import annotations

import numpy as np

from tinynet import functions as F

from . import Case
from .case_builders import Function, function, normal, uniform

EPS = 1e-5


def x_hat(x, axes, eps=EPS):
    """Return x with mean 0 and variance 1 over the axes."""
    mean, variance = F.moments(x, axes)
    return (x - mean) / np.sqrt(variance + eps)


def x_hat_backward(dy, x, axes, eps=EPS):
    deviation, normalized = np.sqrt(F.moments(x, axes)[1] + eps), x_hat(x, axes, eps)
    mean, slope = F.moments(dy, axes)[0], F.moments(dy * normalized, axes)[0]
    return (dy - mean - normalized * slope) / deviation


def scaled(name: str, axes: tuple[int, ...], over: tuple[int, ...], *shapes) -> Case:
    """Return the case y = gamma x_hat + beta; `over` are the axes on which gamma and beta have the length 1."""

    def forward(x, gamma, beta):
        return gamma * x_hat(x, axes) + beta

    def backward(dy, x, gamma, beta):
        dgamma = (dy * x_hat(x, axes)).sum(axis=over, keepdims=True)
        return x_hat_backward(gamma * dy, x, axes), dgamma, dy.sum(axis=over, keepdims=True)

    return function("normalization", name, forward, backward, *shapes)


def grouped(x):
    """x (N, C, rows, columns) -> (N, 2, C / 2, rows, columns)"""
    return x.reshape(len(x), 2, -1, *x.shape[2:])


def group_norm(x, gamma):
    return gamma * x_hat(grouped(x), (2, 3, 4)).reshape(x.shape)


def group_norm_backward(dy, x, gamma):
    normalized = x_hat(grouped(x), (2, 3, 4)).reshape(x.shape)
    dx = x_hat_backward(grouped(gamma * dy), grouped(x), (2, 3, 4)).reshape(x.shape)
    return dx, (dy * normalized).sum(axis=(0, 2, 3), keepdims=True)


def rms_norm(x, gamma):
    return gamma * x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)


def rms_norm_backward(dy, x, gamma):
    root = np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)
    g = gamma * dy
    dx = g / root - x * (g * x).mean(axis=-1, keepdims=True) / root**3
    return dx, (dy * x / root).sum(axis=0)


def unit(x):
    """Return the rows divided by their length."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def unit_backward(dy, x):
    y = unit(x)
    return (dy - y * (dy * y).sum(axis=-1, keepdims=True)) / np.linalg.norm(x, axis=-1, keepdims=True)


def weight_norm(g, v):
    """W_m = g_m v_m / |v_m|        g (M, 1), v (M, D); Salimans and Kingma 2016"""
    return g * unit(v)


def weight_norm_backward(dy, g, v):
    return (dy * unit(v)).sum(axis=-1, keepdims=True), unit_backward(g * dy, v)


def standardized(x):
    """Return the columns with mean 0 and standard deviation 1, with n - 1 in the variance."""
    return (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)


def standardized_backward(dy, x):
    n, y = len(x), standardized(x)
    return (dy - dy.mean(axis=0) - y * (dy * y).sum(axis=0) / (n - 1)) / x.std(axis=0, ddof=1)


def weight_standardized(W, x):
    return x @ x_hat(W, (0,))


def weight_standardized_backward(dy, W, x):
    return x_hat_backward(x.T @ dy, W, (0,)), dy @ x_hat(W, (0,)).T


def spectral_norm(W):
    return W / np.linalg.svd(W, compute_uv=False)[0]


def spectral_norm_backward(dy, W):
    u, s, vt = np.linalg.svd(W)
    return dy / s[0] - (dy * W).sum() / s[0] ** 2 * np.outer(u[:, 0], vt[0])


def local_response(x):
    """y = x / (1 + x^2 summed over the channel and its neighbors)"""
    return x / (1 + neighbors(x * x))


def neighbors(x):
    """Return the sums over three neighboring channels."""
    padded = np.pad(x, [(0, 0), (1, 1), (0, 0)])
    return padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]


def local_response_backward(dy, x):
    total = 1 + neighbors(x * x)
    return dy / total - 2 * x * neighbors(dy * x / total**2)


def log_softmax(x):
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def log_softmax_backward(dy, x):
    return dy - np.exp(log_softmax(x)) * dy.sum(axis=-1, keepdims=True)


def softmax_at(x, temperature):
    return F.softmax(x / temperature)


def softmax_at_backward(dy, x, temperature):
    dz = F.softmax_backward(dy, softmax_at(x, temperature))
    return dz / temperature, -(dz * x).sum() / temperature**2


def shares(x):
    return x / x.sum(axis=-1, keepdims=True)


def shares_backward(dy, x):
    return (dy - (dy * shares(x)).sum(axis=-1, keepdims=True)) / x.sum(axis=-1, keepdims=True)


def rescaled(x):
    """Return the columns from 0 to 1."""
    return (x - x.min(axis=0)) / np.ptp(x, axis=0)


def rescaled_backward(dy, x):
    y, span = rescaled(x), np.ptp(x, axis=0)
    smallest, largest = x == x.min(axis=0), x == x.max(axis=0)
    return (dy - smallest * (dy * (1 - y)).sum(axis=0) - largest * (dy * y).sum(axis=0)) / span


def cosine(x, y):
    return (unit(x) * unit(y)).sum(axis=-1)


def cosine_backward(dy, x, y):
    return unit_backward(dy[:, None] * unit(y), x), unit_backward(dy[:, None] * unit(x), y)


def centered(x):
    return x - x.mean(axis=0)


def covariance(x):
    """Return the covariance of the columns."""
    return centered(x).T @ centered(x) / (len(x) - 1)


def covariance_backward(dy, x):
    return centered(x) @ (dy + dy.T) / (len(x) - 1)


def case(name: str, forward: Function, backward: Function, *inputs) -> Case:
    return function("normalization", name, forward, backward, *inputs)


PICTURE, CHANNELS = (2, 4, 2, 3), (1, 4, 1, 1)
CASES = [
    scaled("batch normalization of rows", (0,), (0,), (6, 4), (1, 4), (1, 4)),
    scaled("batch normalization of pictures", (0, 2, 3), (0, 2, 3), PICTURE, CHANNELS, CHANNELS),
    scaled("layer normalization of rows", (-1,), (0,), (5, 4), (1, 4), (1, 4)),
    scaled("layer normalization of pictures", (1, 2, 3), (0,), PICTURE, (1, 4, 2, 3), (1, 4, 2, 3)),
    scaled("instance normalization", (2, 3), (0, 2, 3), PICTURE, CHANNELS, CHANNELS),
    scaled("batch normalization of a large mean", (0,), (0,), normal(1, 6, 4, mean=1e4), (1, 4), (1, 4)),
    scaled("layer normalization of small numbers", (-1,), (0,), normal(1e-2, 5, 4), (1, 4), (1, 4)),
    scaled("layer normalization of equal numbers", (-1,), (0,), np.ones((2, 3)), (1, 3), (1, 3)),
    case("group normalization", group_norm, group_norm_backward, PICTURE, CHANNELS),
    case("RMS normalization", rms_norm, rms_norm_backward, (5, 4), (4,)),
    case("RMS normalization of large numbers", rms_norm, rms_norm_backward, normal(1e4, 5, 4), (4,)),
    case("weight normalization", weight_norm, weight_norm_backward, (3, 1), (3, 4)),
    case("weight standardization", weight_standardized, weight_standardized_backward, (4, 3), (5, 4)),
    case("L2 normalization", unit, unit_backward, (5, 4)),
    case("L2 normalization of one vector", unit, unit_backward, (6,)),
    case("L2 normalization of short vectors", unit, unit_backward, normal(1e-4, 3, 4)),
    case("L1 normalization of positive numbers", shares, shares_backward, uniform(0.5, 2, 4, 3)),
    case("standardization", standardized, standardized_backward, (6, 3)),
    case("min-max scaling", rescaled, rescaled_backward, (5, 3)),
    case("spectral normalization", spectral_norm, spectral_norm_backward, (4, 3)),
    case("local response normalization", local_response, local_response_backward, (2, 4, 3)),
    case("log-softmax", log_softmax, log_softmax_backward, (5, 4)),
    case("softmax with a temperature", softmax_at, softmax_at_backward, (5, 4), 0.7),
    case("cosine similarity", cosine, cosine_backward, (4, 3), (4, 3)),
    case("centering", centered, lambda dy, x: centered(dy), (5, 3)),
    case("covariance", covariance, covariance_backward, (5, 3)),
]
