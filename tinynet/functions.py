"""The mathematics of a network: each map directly above its backward. Read it first.

Letters, fixed once
    N batch, D features in, M features out, K classes
    x, y        input and output of a map
    dy, dx      gradients of the loss L: dL/dy comes in, dL/dx goes out
    W, b        weights (D, M) and bias (1, M); dW, db their gradients
    z, p, t     logits, probabilities and targets, all (N, K); rows of p and t sum to one
    theta, grad all parameters of a network in one vector, and all their gradients in another
    C, M        channels of pictures: x (N, C, rows, columns) in, y (N, M, I, J) out

No function has state. Every map acts on the last two axes, or for pictures on the last four; axes in front of them are
independent networks. It returns the dtype it was given, and does not change its arguments unless it says so. L is a
mean over N: 1/N enters in the losses and nowhere else.
"""

from __future__ import annotations

import math
from typing import Any

from .arrays import Array, erf, module_of, positions
from .arrays.rng import random_bits

# ---------------------------------------------------------------------------------------------- layers


def dense(x: Array, W: Array, b: Array) -> Array:
    """y = x W + b        x (N, D), W (D, M), b (1, M) -> y (N, M)"""
    return x @ W + b


def dense_backward(dy: Array, W: Array) -> Array:
    """dx = dy W^T        dy (N, M), W (D, M) -> dx (N, D)"""
    return dy @ W.mT


def dense_backward_parameters(dy: Array, x: Array, dW: Array, db: Array) -> None:
    """dW = x^T dy, db = sum of dy over N        written into dW (D, M) and db (1, M)"""
    module_of(x).matmul(x.mT, dy, out=dW)
    dy.sum(axis=-2, keepdims=True, out=db)


def relu(x: Array) -> Array:
    """y = max(x, 0)"""
    return module_of(x).maximum(x, 0)


def relu_backward(dy: Array, y: Array) -> Array:
    """dx = dy [y > 0]        (at the kink, x = 0, the gradient is set to 0)"""
    return dy * (y > 0)


def leaky_relu(x: Array, slope: float) -> Array:
    """y = max(x, slope x)        0 <= slope < 1; Maas, Hannun and Ng 2013, section 2"""
    return module_of(x).maximum(x, slope * x)


def leaky_relu_backward(dy: Array, y: Array, slope: float) -> Array:
    """dx = dy where y > 0, else slope dy"""
    return module_of(y).where(y > 0, dy, slope * dy)


def tanh(x: Array) -> Array:
    """y = tanh(x)        LeCun, Bottou, Orr and Mueller 1998, section 4.4"""
    return module_of(x).tanh(x)


def tanh_backward(dy: Array, y: Array) -> Array:
    """dx = dy (1 - y^2)        because tanh' = 1 - tanh^2"""
    return dy * (1 - y * y)


def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + exp(-x))        as exp(x) / (1 + exp(x)) where x < 0, so that no exp overflows"""
    xp = module_of(x)
    e = xp.exp(-abs(x))
    return xp.where(x < 0, e, 1) / (1 + e)


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """dx = dy y (1 - y)"""
    return dy * y * (1 - y)


def gelu(x: Array) -> Array:
    """y = x P(x), P(x) = (1 + erf(x / sqrt 2)) / 2: x times the probability that a normal number is below x

    Hendrycks and Gimpel 2016, equation 1, in its exact form.
    """
    return x * (1 + erf(x * math.sqrt(1 / 2))) / 2


def gelu_backward(dy: Array, x: Array) -> Array:
    """dx = dy (P(x) + x P'(x)), P'(x) = exp(-x^2 / 2) / sqrt(2 pi)"""
    density = module_of(x).exp(-x * x / 2) * math.sqrt(1 / (2 * math.pi))
    return dy * ((1 + erf(x * math.sqrt(1 / 2))) / 2 + x * density)


def softmax(x: Array) -> Array:
    """y_k = exp(x_k) / sum_j exp(x_j)        x (N, K) -> y (N, K), each row first shifted by its largest x"""
    e = module_of(x).exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy: Array, y: Array) -> Array:
    """dx_k = y_k (dy_k - sum_j dy_j y_j)        the whole Jacobian, dy_j/dx_k = y_j ([j = k] - y_k)"""
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def dropout(x: Array, rate: float, key: tuple[int, int], first: int = 0) -> tuple[Array, Array]:
    """y = x mask        mask 0 with probability rate, else 1 / (1 - rate), so that y has the mean of x

    The mask is a function of the key and of the position, counted from `first` through all axes. Returns (y, mask).
    Srivastava et al. 2014, section 4, but scaled in training and not afterwards.
    """
    bits = random_bits(module_of(x), x.size, key, first).reshape(x.shape)
    mask = (bits >= round(rate * 2**32)).astype(x.dtype) * (1 / (1 - rate))
    return x * mask, mask


def dropout_backward(dy: Array, mask: Array) -> Array:
    """dx = dy mask"""
    return dy * mask


# -------------------------------------------------------------------------------------------- pictures


def patches(x: Array, size: int, stride: int, padding: int) -> Array:
    """y = all patches of x, each as a column (im2col)        x (N, C, rows, columns) -> y (N, C size^2, I J)

    A patch is (C, size, size). Patches are `stride` apart, on x with `padding` zeros added on every side. Rows and
    columns that no whole patch reaches are left out.
    """
    xp = module_of(x)
    x = xp.pad(x, [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2)
    view = xp.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(-2, -1))[..., ::stride, ::stride, :, :]
    *N, C, down, across = view.shape[:-2]
    return xp.moveaxis(view, (-2, -1), (-4, -3)).reshape(*N, C * size**2, down * across)


def patches_backward(dy: Array, shape: tuple[int, ...], size: int, stride: int, padding: int) -> Array:
    """dx = every column added back at the position of its patch (col2im)        -> dx of x's `shape`"""
    *N, rows, columns = shape
    down, across = positions(shape, size, stride, padding)
    dy = dy.reshape(*N, size, size, down, across)
    dx = module_of(dy).zeros((*N, rows + 2 * padding, columns + 2 * padding), dy.dtype)
    for p in range(size):
        for q in range(size):
            dx[..., p : p + stride * down : stride, q : q + stride * across : stride] += dy[..., p, q, :, :]
    return dx[..., padding : padding + rows, padding : padding + columns]


def conv2d(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    """y = W patches(x) + b        x (N, C, rows, columns), W (M, C, size, size), b (M, 1, 1) -> y (N, M, I, J)

    With stride 1 and no padding y_mij = b_m + sum_cpq W_mcpq x_c,i+p,j+q: a dense layer on each patch, with the same
    weights at every position. LeCun et al. 1989, section 4.
    """
    y = _matrix(W) @ patches(x, W.shape[-1], stride, padding)
    return y.reshape(*y.shape[:-1], *positions(x.shape, W.shape[-1], stride, padding)) + b[..., None, :, :, :]


def conv2d_backward(dy: Array, W: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """dx = patches_backward(W^T dy)        dy (N, M, I, J), W (M, C, size, size) -> dx of x's `shape`"""
    columns = _matrix(W).mT @ dy.reshape(*dy.shape[:-2], -1)
    return patches_backward(columns, shape, W.shape[-1], stride, padding)


def conv2d_backward_parameters(dy: Array, x: Array, dW: Array, db: Array, stride: int, padding: int) -> None:
    """dW = sum over N of dy patches(x)^T, db = sum of dy over N, I, J        written into dW and db"""
    columns = patches(x, dW.shape[-1], stride, padding)
    dW[...] = (dy.reshape(*dy.shape[:-2], -1) @ columns.mT).sum(axis=-3).reshape(dW.shape)
    db[...] = dy.sum(axis=(-4, -2, -1))[..., None, None]


def max_pool2d(x: Array, size: int) -> Array:
    """y = the largest number of each patch        patches do not overlap; x (N, C, rows, columns) -> y (N, C, I, J)"""
    return _side_by_side(x, size).max(axis=-3)


def max_pool2d_backward(dy: Array, x: Array, size: int) -> Array:
    """dx = dy at the largest number of the patch (the first of equal ones), else 0"""
    inside = _side_by_side(x, size)
    position = module_of(x).arange(size * size)[:, None, None]
    is_largest = inside.argmax(axis=-3)[..., None, :, :] == position
    return patches_backward(dy[..., None, :, :] * is_largest, x.shape, size, size, 0)


def average_pool2d(x: Array, size: int) -> Array:
    """y = the mean of each patch        patches do not overlap; x (N, C, rows, columns) -> y (N, C, I, J)"""
    return _side_by_side(x, size).mean(axis=-3)


def average_pool2d_backward(dy: Array, shape: tuple[int, ...], size: int) -> Array:
    """dx = dy / size^2 everywhere in the patch        -> dx of x's `shape`"""
    shares = module_of(dy).repeat(dy[..., None, :, :] / size**2, size**2, axis=-3)
    return patches_backward(shares, shape, size, size, 0)


def global_average_pool(x: Array) -> Array:
    """y_nc = the mean of a whole channel        x (N, C, rows, columns) -> y (N, C); Lin, Chen and Yan 2014"""
    return x.mean(axis=(-2, -1))


def global_average_pool_backward(dy: Array, shape: tuple[int, ...]) -> Array:
    """dx = dy / (rows columns) everywhere in the channel        dy (N, C) -> dx of x's `shape`"""
    return module_of(dy).zeros(shape, dy.dtype) + dy[..., None, None] / (shape[-2] * shape[-1])


def _matrix(W: Array) -> Array:
    """Return the weights as one matrix for all N        W (M, C, size, size) -> (1, M, C size^2)"""
    return W.reshape(*W.shape[:-4], 1, W.shape[-4], -1)


def _side_by_side(x: Array, size: int) -> Array:
    """Return the patches that do not overlap        x (N, C, rows, columns) -> (N, C, size^2, I, J)"""
    return patches(x, size, size, 0).reshape(*x.shape[:-2], size**2, *positions(x.shape, size, size, 0))


# --------------------------------------------------------------------------------------- normalization


def moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """mean = mean of x, variance = mean of (x - mean)^2        over `axes`, which are kept with length 1"""
    mean = x.mean(axis=axes, keepdims=True)
    return mean, ((x - mean) ** 2).mean(axis=axes, keepdims=True)


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float) -> Array:
    """y = gamma x_hat + beta, x_hat = (x - mean) / sqrt(variance + eps)        Ioffe and Szegedy 2015, Algorithm 1

    In training, mean and variance are those of the batch, otherwise running means over many batches. gamma, beta,
    mean and variance are (1, D) for rows x (N, D), (1, C, 1, 1) for pictures x (N, C, rows, columns).
    """
    return gamma * ((x - mean) / module_of(x).sqrt(variance + eps)) + beta


def batch_norm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dx = gamma (dy - dbeta / n - x_hat dgamma / n) / sqrt(variance + eps)        n numbers x of each feature

    Every x changes its own x_hat, and all x_hat through the mean and the variance: these are the two terms subtracted.
    """
    deviation, n = module_of(x).sqrt(variance + eps), x.size // dgamma.size
    x_hat = (x - mean) / deviation
    return gamma * (dy - dbeta / n - x_hat * (dgamma / n)) / deviation


def batch_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, variance: Array, eps: float, axes: tuple[int, ...], dgamma: Array, dbeta: Array
) -> None:
    """dgamma = sum of dy x_hat, dbeta = sum of dy        over `axes`; written into dgamma and dbeta"""
    x_hat = (x - mean) / module_of(x).sqrt(variance + eps)
    (dy * x_hat).sum(axis=axes, keepdims=True, out=dgamma)
    dy.sum(axis=axes, keepdims=True, out=dbeta)


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """y = gamma x_hat + beta, each row with its own mean and variance        x (N, D), gamma, beta (1, D) -> y (N, D)

    Ba, Kiros and Hinton 2016, equations 3 and 4: no row depends on the others.
    """
    return batch_norm(x, gamma, beta, *moments(x, (-1,)), eps)


def layer_norm_backward(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    """dx = (g - mean of g - x_hat mean of g x_hat) / sqrt(variance + eps), g = gamma dy        means over each row"""
    mean, variance = moments(x, (-1,))
    deviation, g = module_of(x).sqrt(variance + eps), gamma * dy
    x_hat = (x - mean) / deviation
    g_mean, g_slope = g.mean(axis=-1, keepdims=True), (g * x_hat).mean(axis=-1, keepdims=True)
    return (g - g_mean - x_hat * g_slope) / deviation


def layer_norm_backward_parameters(dy: Array, x: Array, eps: float, dgamma: Array, dbeta: Array) -> None:
    """dgamma = sum of dy x_hat, dbeta = sum of dy        over N; written into dgamma and dbeta (1, D)"""
    batch_norm_backward_parameters(dy, x, *moments(x, (-1,)), eps, (-2,), dgamma, dbeta)


# ---------------------------------------------------------------------------------------------- losses


def softmax_cross_entropy(z: Array, t: Array) -> tuple[Array, Array]:
    """L = 1/N sum_n (log sum_k exp(z_nk) - sum_k t_nk z_nk)        z (N, K), t (N, K) -> L (), p (N, K)

    That is -1/N sum_n sum_k t_nk log p_nk with p = softmax(z): log p_nk = z_nk - log sum_j exp(z_nj), and a row of
    t sums to one. Each row is first shifted by its largest z, so that no exp overflows and no log is of zero.
    """
    xp = module_of(z)
    z = z - z.max(axis=-1, keepdims=True)
    e = xp.exp(z)
    total = e.sum(axis=-1, keepdims=True)
    return (xp.log(total) - (t * z).sum(axis=-1, keepdims=True)).mean(axis=(-2, -1)), e / total


def softmax_cross_entropy_backward(p: Array, t: Array) -> Array:
    """dz = (p - t) / N        because the derivative of log sum_k exp(z_k) is p and that of t . z is t"""
    return (p - t) / p.shape[-2]


def smooth_labels(t: Array, amount: float) -> Array:
    """t <- (1 - amount) t + amount / K        rows still sum to one; Szegedy et al. 2016, section 7"""
    return t * (1 - amount) + amount / t.shape[-1]


def binary_cross_entropy(z: Array, t: Array) -> tuple[Array, Array]:
    """L = 1/N sum_n (log(1 + exp(z_n)) - t_n z_n)        z (N, 1), t (N, 1) from 0 to 1 -> L (), p (N, 1)

    That is -1/N sum_n (t_n log p_n + (1 - t_n) log(1 - p_n)) with p = sigmoid(z), written so that no exp overflows.
    """
    xp = module_of(z)
    softplus = xp.maximum(z, 0) + xp.log1p(xp.exp(-abs(z)))
    return (softplus - t * z).mean(axis=(-2, -1)), sigmoid(z)


def binary_cross_entropy_backward(p: Array, t: Array) -> Array:
    """dz = (p - t) / N        because the derivative of log(1 + exp(z)) is sigmoid(z) = p"""
    return (p - t) / p.shape[-2]


def cross_entropy(p: Array, t: Array) -> Array:
    """L = -1/N sum_n sum_k t_nk log p_nk        p (N, K), t (N, K) -> L (); 0 log 0 counts as 0"""
    xp = module_of(p)
    return -(t * xp.log(xp.where(t > 0, p, 1))).sum(axis=(-2, -1)) / p.shape[-2]


def cross_entropy_backward(p: Array, t: Array) -> Array:
    """dp = -t / p / N"""
    return -t / module_of(p).where(t > 0, p, 1) / p.shape[-2]


def mean_squared_error(y: Array, t: Array) -> Array:
    """L = 1/(N M) sum_n sum_m (y_nm - t_nm)^2        y (N, M), t (N, M) -> L ()"""
    return ((y - t) ** 2).mean(axis=(-2, -1))


def mean_squared_error_backward(y: Array, t: Array) -> Array:
    """dy = 2 (y - t) / (N M)"""
    return (y - t) * (2 / (y.shape[-2] * y.shape[-1]))


def huber(y: Array, t: Array, delta: float) -> Array:
    """L = 1/(N M) sum h(y_nm - t_nm), h(r) = r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2)        -> L ()

    The squared error, with straight lines beyond delta: Huber 1964.
    """
    r = abs(y - t)
    near = module_of(r).minimum(r, delta)
    return (near * (r - near / 2)).mean(axis=(-2, -1))


def huber_backward(y: Array, t: Array, delta: float) -> Array:
    """dy = r / (N M), r = y - t cut off at -delta and delta"""
    return (y - t).clip(-delta, delta) / (y.shape[-2] * y.shape[-1])


def count_correct(z: Array, t: Array) -> Array:
    """sum_n [argmax_k z_nk = argmax_k t_nk]        the number of correct rows; z (N, K), t (N, K) -> ()"""
    return (z.argmax(axis=-1) == t.argmax(axis=-1)).sum(axis=-1)


def count_correct_binary(z: Array, t: Array) -> Array:
    """sum_n [(z_n > 0) = (t_n > 1/2)]        the number of correct rows; z (N, 1), t (N, 1) -> (); z > 0 is p > 1/2"""
    return ((z > 0) == (t > 0.5)).sum(axis=(-2, -1))


# ------------------------------------------------------------------------------------------ optimizers


def sgd(theta: Array, grad: Array, velocity: Array, lr: float, momentum: float, nesterov: bool) -> None:
    """v <- mu v + g,  theta <- theta - lr v        theta and v are changed in place

    With Nesterov, theta <- theta - lr (g + mu v), in the form of Bengio, Boulanger-Lewandowski and Pascanu 2013,
    section 3.5. lr is outside of v.
    """
    velocity *= momentum
    velocity += grad
    direction = grad + momentum * velocity if nesterov else velocity
    theta -= lr * direction


def adam(
    theta: Array, grad: Array, m: Array, v: Array, step: int, lr: float, beta1: float, beta2: float, eps: float
) -> None:
    """theta <- theta - lr m^ / (sqrt(v^) + eps)        theta, m and v are changed in place

    m <- beta1 m + (1 - beta1) g        m^ = m / (1 - beta1^step)
    v <- beta2 v + (1 - beta2) g^2      v^ = v / (1 - beta2^step)        Kingma and Ba 2015, Algorithm 1
    """
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad * grad - v)
    root = module_of(v).sqrt(v / (1 - beta2**step)) + eps
    theta -= m * (lr / (1 - beta1**step)) / root


def rmsprop(theta: Array, grad: Array, v: Array, lr: float, rho: float, eps: float) -> None:
    """v <- rho v + (1 - rho) g^2,  theta <- theta - lr g / (sqrt(v) + eps)        theta and v are changed in place

    Hinton 2012, lecture 6e of "Neural Networks for Machine Learning".
    """
    v += (1 - rho) * (grad * grad - v)
    theta -= lr * grad / (module_of(v).sqrt(v) + eps)


def decay(theta: Array, rate: float) -> None:
    """theta <- theta - rate theta, in place        decoupled weight decay: Loshchilov and Hutter 2019"""
    theta *= 1 - rate


def clip_norm(grad: Array, largest: float) -> None:
    """g <- g min(1, c / |g|), in place        |g| is the norm over all layers; Pascanu et al. 2013, Algorithm 1"""
    xp = module_of(grad)
    size = xp.maximum(abs(grad).max(axis=-1, keepdims=True), xp.finfo(grad.dtype).tiny)  # so that no square overflows
    norm = size * xp.sqrt(((grad / size) ** 2).sum(axis=-1, keepdims=True))
    grad *= largest / xp.maximum(norm, largest)


# --------------------------------------------------------------------------------------------- batches


def gather(x: Array, index: Array, dtype: Any) -> Array:
    """y_n = x[index_n] as dtype        x (rows, ...), index (N,) -> y (N, ...); uint8 is pixels: y = x (1/255)"""
    rows = x.take(index, axis=0)
    if rows.dtype == "uint8":
        return rows.astype(dtype) * (1 / 255)
    return rows.astype(dtype, copy=False)
