"""Right functions that move numbers: shapes, slices, indices, padding, convolution, Fourier transform, resampling."""

from __future__ import annotations

import numpy as np

from tinynet import functions as F

from .case_builders import Function, function, linear, normal, uniform

# ------------------------------------------------------------------------------------ shapes and slices


def placed(shape: tuple[int, ...], index) -> Function:
    """Return the adjoint of x[index], if the index takes no number twice: dy in an array of zeros."""

    def adjoint(dy):
        dx = np.zeros(shape)
        dx[index] = dy
        return dx

    return adjoint


def added(shape: tuple[int, ...], index) -> Function:
    """Return the adjoint of x[index]."""

    def adjoint(dy):
        dx = np.zeros(shape)
        np.add.at(dx, index, dy)
        return dx

    return adjoint


SLICES = {
    "a slice with a step": np.s_[1::2],
    "a slice from the end": np.s_[::-2],
    "a column": np.s_[:, 1],
    "a block": np.s_[1:4, ::2],
    "a new axis": np.s_[:, None],
    "an ellipsis": np.s_[..., -1:],
    "one number": np.s_[2, 1],
    "a mask": np.arange(15).reshape(5, 3) % 4 == 1,
    "distinct rows": np.array([4, 0, 2]),
}
SHAPES = [
    linear("arrays", name, forward, adjoint, *shapes)
    for name, forward, adjoint, shapes in [
        ("transpose", np.transpose, np.transpose, [(3, 4)]),
        ("transpose of a square", np.transpose, np.transpose, [(3, 3)]),
        ("transpose of three axes", lambda x: x.transpose(2, 0, 1), lambda dy: dy.transpose(1, 2, 0), [(2, 3, 4)]),
        ("moveaxis", lambda x: np.moveaxis(x, 0, -1), lambda dy: np.moveaxis(dy, -1, 0), [(2, 3, 4)]),
        ("reshape", lambda x: x.reshape(4, 3), lambda dy: dy.reshape(2, 6), [(2, 6)]),
        ("reshape by columns", lambda x: x.reshape(4, 3, order="F"), lambda dy: dy.reshape(2, 6, order="F"), [(2, 6)]),
        ("ravel", np.ravel, lambda dy: dy.reshape(2, 3, 2), [(2, 3, 2)]),
        ("squeeze", np.squeeze, lambda dy: dy.reshape(1, 3, 1, 2), [(1, 3, 1, 2)]),
        ("flip", np.flip, np.flip, [(3, 4)]),
        ("roll", lambda x: np.roll(x, 2, axis=1), lambda dy: np.roll(dy, -2, axis=1), [(3, 5)]),
        ("rotation by 90 degrees", np.rot90, lambda dy: np.rot90(dy, -1), [(3, 4)]),
        ("lower triangle", np.tril, np.tril, [(4, 4)]),
        ("diagonal", np.diagonal, np.diag, [(4, 4)]),
        ("diagonal matrix", np.diag, np.diagonal, [(4,)]),
        ("symmetric part", lambda x: (x + x.T) / 2, lambda dy: (dy + dy.T) / 2, [(3, 3)]),
        ("tile", lambda x: np.tile(x, (2, 3)), lambda dy: dy.reshape(2, 2, 3, 2).sum(axis=(0, 2)), [(2, 2)]),
        ("repeat", lambda x: np.repeat(x, 3, axis=1), lambda dy: dy.reshape(2, 4, 3).sum(axis=2), [(2, 4)]),
        ("identity", lambda x: x, lambda dy: dy, [(3, 4)]),
        ("concatenate rows", lambda *x: np.concatenate(x), lambda dy: (dy[:2], dy[2:]), [(2, 3), (4, 3)]),
        (
            "concatenate columns",
            lambda *x: np.hstack(x),
            lambda dy: (dy[:, :2], dy[:, 2:3], dy[:, 3:]),
            [(3, 2), (3, 1), (3, 4)],
        ),
        ("stack", lambda *x: np.stack(x, axis=1), lambda dy: (dy[:, 0], dy[:, 1]), [(3, 4), (3, 4)]),
        ("concatenate an array with itself", lambda x: np.append(x, 2 * x), lambda dy: dy[:4] + 2 * dy[4:], [(4,)]),
        ("difference of halves", lambda x: np.subtract(*np.split(x, 2)), lambda dy: np.append(dy, -dy), [(6,)]),
        ("shuffle", lambda x: x[[2, 0, 3, 1]], lambda dy: dy[[1, 3, 0, 2]], [(4, 2)]),
    ]
] + [
    linear("arrays", f"x[...] with {name}", lambda x, index=index: x[index], placed((5, 3), index), (5, 3))
    for name, index in SLICES.items()
]

# ------------------------------------------------------------------------------ gather, scatter, padding

REPEATED = np.array([3, 0, 3, 3, 1])
ROWS, COLUMNS = np.array([0, 2, 2, 0]), np.array([1, 1, 1, 3])


def take_along(x, index):
    return np.take_along_axis(x, index, axis=1)


def take_along_backward(dy, x, index):
    dx = np.zeros_like(x)
    np.add.at(dx, (np.arange(len(x))[:, None], index), dy)
    return dx, None


def scatter(x, updates, index):
    y = x.copy()
    y[index] = updates
    return y


def scatter_backward(dy, x, updates, index):
    dx = dy.copy()
    dx[index] = 0
    return dx, dy[index], None


def scatter_add(x, updates, index):
    y = x.copy()
    np.add.at(y, index, updates)
    return y


def scatter_add_backward(dy, x, updates, index):
    return dy, dy[index], None


def select(condition, a, b):
    return np.where(condition, a, b)


def select_backward(dy, condition, a, b):
    return None, np.where(condition, dy, 0), np.where(condition, 0, dy)


def row_of_largest_norm(x):
    return x[(x * x).sum(axis=1).argmax()]


def row_of_largest_norm_backward(dy, x):
    dx = np.zeros_like(x)
    dx[(x * x).sum(axis=1).argmax()] = dy
    return dx


INSIDE = np.s_[1:-2, 2:-1]
PADS = [(1, 2), (2, 1)]
INDICES = [
    linear("arrays", "gather repeated rows", lambda x: x[REPEATED], added((4, 3), REPEATED), (4, 3)),
    linear("arrays", "gather repeated numbers", lambda x: x[ROWS, COLUMNS], added((3, 4), (ROWS, COLUMNS)), (3, 4)),
    linear(
        "arrays",
        "gather an outer grid",
        lambda x: x[np.ix_([0, 2, 0], [1, 3])],
        added((3, 4), np.ix_([0, 2, 0], [1, 3])),
        (3, 4),
    ),
    function(
        "arrays", "take along an axis", take_along, take_along_backward, (3, 4), np.array([[0, 0], [3, 1], [2, 2]])
    ),
    function("arrays", "scatter", scatter, scatter_backward, (5, 2), (2, 2), np.array([3, 0])),
    function("arrays", "scatter-add", scatter_add, scatter_add_backward, (4, 2), (5, 2), REPEATED),
    function("arrays", "where", select, select_backward, np.eye(3, dtype=bool), (3, 3), (3, 3)),
    function("arrays", "a row chosen by its norm", row_of_largest_norm, row_of_largest_norm_backward, (4, 3)),
    linear("arrays", "pad with zeros", lambda x: np.pad(x, PADS), lambda dy: dy[INSIDE], (3, 4)),
    *(
        linear(
            "arrays",
            f"pad, {mode}",
            lambda x, mode=mode: np.pad(x, 2, mode),
            added((5,), np.pad(np.arange(5), 2, mode)),
            (5,),
        )
        for mode in ("edge", "reflect", "symmetric", "wrap")
    ),
    linear(
        "arrays",
        "im2col of a row",
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 3),
        added((6,), np.arange(4)[:, None] + np.arange(3)),
        (6,),
    ),
]

# ---------------------------------------------------------------------------------------- convolutions


def conv1d(x, W):
    """y_nmi = sum_cp W_mcp x_nc,i+p        x (N, C, L), W (M, C, size)"""
    return np.einsum("ncip,mcp->nmi", np.lib.stride_tricks.sliding_window_view(x, W.shape[-1], axis=-1), W)


def conv1d_backward(dy, x, W):
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    for p in range(W.shape[-1]):
        part = np.s_[:, :, p : p + dy.shape[-1]]
        dx[part] += np.einsum("nmi,mc->nci", dy, W[:, :, p])
        dW[:, :, p] = np.einsum("nmi,nci->mc", dy, x[part])
    return dx, dW


def depthwise(x, w):
    """y_nci = sum_p w_cp x_nc,i+2p        a dilated convolution of each channel by itself"""
    return sum(w[:, p, None] * x[:, :, 2 * p : x.shape[-1] - 4 + 2 * p] for p in range(3))


def depthwise_backward(dy, x, w):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for p in range(3):
        part = np.s_[:, :, 2 * p : x.shape[-1] - 4 + 2 * p]
        dx[part] += w[:, p, None] * dy
        dw[:, p] = (dy * x[part]).sum(axis=(0, 2))
    return dx, dw


def transposed_convolution(x, W):
    """x (N, C, rows, columns), W (C, M, 2, 2) -> y (N, M, 2 rows, 2 columns), with stride 2"""
    y = np.einsum("ncij,cmpq->nmipjq", x, W)
    return y.reshape(*y.shape[:2], 2 * x.shape[2], 2 * x.shape[3])


def transposed_convolution_backward(dy, x, W):
    dy = dy.reshape(*dy.shape[:2], x.shape[2], 2, x.shape[3], 2)
    return np.einsum("nmipjq,cmpq->ncij", dy, W), np.einsum("nmipjq,ncij->cmpq", dy, x)


def full_convolution_backward(dy, x, w):
    return np.correlate(dy, w, "valid"), np.correlate(dy, x, "valid")


def overlapping_average(x):
    return F.patches(x, 3, 1, 1).reshape(1, 1, 9, -1).mean(axis=2)


def overlapping_average_adjoint(dy):
    return F.patches_backward(np.repeat(dy / 9, 9, axis=1), (1, 1, 4, 3), 3, 1, 1)


CONVOLUTIONS = [
    function("convolution", "convolution 1-D", conv1d, conv1d_backward, (2, 3, 6), (4, 3, 3)),
    function("convolution", "convolution 1-D, kernel of one", conv1d, conv1d_backward, (2, 3, 5), (2, 3, 1)),
    function("convolution", "depthwise and dilated convolution", depthwise, depthwise_backward, (2, 3, 8), (3, 3)),
    function(
        "convolution",
        "transposed convolution",
        transposed_convolution,
        transposed_convolution_backward,
        (2, 3, 2, 3),
        (3, 2, 2, 2),
    ),
    function("convolution", "np.convolve", np.convolve, full_convolution_backward, (7,), (3,)),
    linear("convolution", "average pool with overlap", overlapping_average, overlapping_average_adjoint, (1, 1, 4, 3)),
]

# ------------------------------------------------------------------------------------ Fourier transform


def power(x):
    """y_k = |X_k|^2"""
    return abs(np.fft.fft(x)) ** 2


def power_backward(dy, x):
    return 2 * np.fft.fft(dy * np.fft.fft(x).conj()).real


def log_power(x):
    return np.log(power(x) + 1e-3)


def log_power_backward(dy, x):
    return power_backward(dy / (power(x) + 1e-3), x)


def real_and_imaginary(x):
    X = np.fft.fft(x)
    return np.stack([X.real, X.imag])


def real_and_imaginary_adjoint(dy):
    return np.fft.fft(dy[0] - 1j * dy[1]).real


def circular(x, w):
    return np.fft.ifft(np.fft.fft(x) * np.fft.fft(w)).real


def circular_backward(dy, x, w):
    def correlated(a):
        return np.fft.ifft(np.fft.fft(dy) * np.fft.fft(a).conj()).real

    return correlated(w), correlated(x)


def picture_power(x):
    return abs(np.fft.fft2(x)) ** 2


def picture_power_backward(dy, x):
    return 2 * np.fft.fft2(dy * np.fft.fft2(x).conj()).real


def magnitude(x):
    return abs(np.fft.fft(x))


def magnitude_backward(dy, x):
    X = np.fft.fft(x)
    return np.fft.fft(dy * (X / abs(X)).conj()).real


FOURIER = [
    function("Fourier", "squared magnitude of the FFT", power, power_backward, (8,)),
    function("Fourier", "squared magnitude of the FFT of rows", power, power_backward, (3, 5)),
    function("Fourier", "logarithm of the power", log_power, log_power_backward, (7,)),
    function("Fourier", "magnitude of the FFT", magnitude, magnitude_backward, (6,)),
    function("Fourier", "squared magnitude of the FFT of a picture", picture_power, picture_power_backward, (3, 4)),
    linear("Fourier", "real and imaginary part of the FFT", real_and_imaginary, real_and_imaginary_adjoint, (6,)),
    function("Fourier", "circular convolution", circular, circular_backward, (6,), (6,)),
]

# ------------------------------------------------------------------------------------------ resampling


def cell(position):
    """Return the integer and the fractional part."""
    left = np.floor(position).astype(int)
    return left, position - left


def interpolated(y, position):
    left, part = cell(position)
    return (1 - part) * y[left] + part * y[left + 1]


def interpolated_backward(dy, y, position):
    left, part = cell(position)
    gradient = np.zeros_like(y)
    np.add.at(gradient, left, dy * (1 - part))
    np.add.at(gradient, left + 1, dy * part)
    return gradient, dy * (y[left + 1] - y[left])


def corners(row, column):
    """Yield index, weight, and the weight's slope along row and column for the four pixels around each position."""
    (top, down), (left, across) = cell(row), cell(column)
    for i, a, slope_a in [(top, 1 - down, -1), (top + 1, down, 1)]:
        for j, b, slope_b in [(left, 1 - across, -1), (left + 1, across, 1)]:
            yield (i, j), a * b, slope_a * b, a * slope_b


def bilinear(x, row, column):
    return sum(x[index] * weight for index, weight, _, _ in corners(row, column))


def bilinear_backward(dy, x, row, column):
    dx = np.zeros_like(x)
    for index, weight, _, _ in corners(row, column):
        np.add.at(dx, index, dy * weight)
    drow = sum(dy * x[index] * slope for index, _, slope, _ in corners(row, column))
    dcolumn = sum(dy * x[index] * slope for index, _, _, slope in corners(row, column))
    return dx, drow, dcolumn


def nearest(x):
    return x.repeat(2, axis=-2).repeat(2, axis=-1)


def nearest_adjoint(dy):
    return dy.reshape(2, 3, 2, 4, 2).sum(axis=(2, 4))


def hat_matrix(inputs: int, outputs: int) -> np.ndarray:
    """Return the matrix of linear interpolation from one grid to another        (outputs, inputs)"""
    positions = np.linspace(0, inputs - 1, outputs)[:, None]
    return np.maximum(0, 1 - abs(positions - np.arange(inputs)))


DOWN, ACROSS = hat_matrix(3, 5), hat_matrix(4, 7)


def pixel_shuffle(x):
    """x (N, 4 C, rows, columns) -> (N, C, 2 rows, 2 columns)"""
    N, C, rows, columns = x.shape
    return x.reshape(N, C // 4, 2, 2, rows, columns).transpose(0, 1, 4, 2, 5, 3).reshape(N, C // 4, 2 * rows, -1)


def pixel_unshuffle(y):
    N, C, rows, columns = y.shape
    y = y.reshape(N, C, rows // 2, 2, columns // 2, 2).transpose(0, 1, 3, 5, 2, 4)
    return y.reshape(N, 4 * C, rows // 2, -1)


def spline(x):
    """Return the cubic B-spline around 0."""
    near, far = 2 / 3 - x * x + abs(x) ** 3 / 2, np.maximum(2 - abs(x), 0) ** 3 / 6
    return np.where(abs(x) < 1, near, far)


def spline_slope(x):
    near, far = -2 * x + 1.5 * x * abs(x), -np.sign(x) * np.maximum(2 - abs(x), 0) ** 2 / 2
    return np.where(abs(x) < 1, near, far)


RESAMPLING = [
    function("resampling", "linear interpolation", interpolated, interpolated_backward, (6,), uniform(0.1, 4.9, 5)),
    function(
        "resampling",
        "bilinear interpolation",
        bilinear,
        bilinear_backward,
        (4, 5),
        uniform(0.1, 2.9, 6),
        uniform(0.1, 3.9, 6),
    ),
    linear("resampling", "upsampling, nearest", nearest, nearest_adjoint, (2, 3, 4)),
    linear(
        "resampling", "upsampling, bilinear", lambda x: DOWN @ x @ ACROSS.T, lambda dy: DOWN.T @ dy @ ACROSS, (2, 3, 4)
    ),
    linear("resampling", "pixel shuffle", pixel_shuffle, pixel_unshuffle, (2, 4, 2, 3)),
    linear("resampling", "pixel unshuffle", pixel_unshuffle, pixel_shuffle, (1, 2, 4, 4)),
    function("resampling", "cubic spline", spline, lambda dy, x: dy * spline_slope(x), normal(1.2, 10)),
]

CASES = [*SHAPES, *INDICES, *CONVOLUTIONS, *FOURIER, *RESAMPLING]
