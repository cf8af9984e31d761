"""Right functions: elementary functions, products, and linear algebra."""

from __future__ import annotations

import numpy as np

from .case_builders import Function, elementwise, function, linear, normal, uniform

# ------------------------------------------------------------------------------------------ elementary

POSITIVE, WITHIN_ONE = uniform(0.3, 2, 3, 4), uniform(-0.9, 0.9, 3, 4)
ELEMENTARY = [
    elementwise("elementary", name, f, slope, x)
    for name, f, slope, x in [
        ("sin", np.sin, np.cos, (3, 4)),
        ("cos", np.cos, lambda x: -np.sin(x), (3, 4)),
        ("tan", np.tan, lambda x: 1 / np.cos(x) ** 2, WITHIN_ONE),
        ("exp", np.exp, np.exp, (3, 4)),
        ("2^x", np.exp2, lambda x: np.log(2) * np.exp2(x), (3, 4)),
        ("log", np.log, lambda x: 1 / x, POSITIVE),
        ("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), POSITIVE),
        ("cube root", np.cbrt, lambda x: np.cbrt(x) / x / 3, POSITIVE),
        ("reciprocal", np.reciprocal, lambda x: -1 / x**2, POSITIVE),
        ("sinh", np.sinh, np.cosh, (3, 4)),
        ("arcsin", np.arcsin, lambda x: 1 / np.sqrt(1 - x * x), WITHIN_ONE),
        ("arctan", np.arctan, lambda x: 1 / (1 + x * x), (3, 4)),
        ("arctanh", np.arctanh, lambda x: 1 / (1 - x * x), WITHIN_ONE),
        ("logit", lambda p: np.log(p / (1 - p)), lambda p: 1 / p / (1 - p), uniform(0.1, 0.9, 3, 4)),
        ("swish", lambda x: x / (1 + np.exp(-x)), lambda x: (1 + np.exp(-x) * (1 + x)) / (1 + np.exp(-x)) ** 2, (3, 4)),
        ("softsign", lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2, (3, 4)),
        ("polynomial", lambda x: 2 * x**3 - x + 4, lambda x: 6 * x**2 - 1, (3, 4)),
        ("rational", lambda x: x / (1 + x * x), lambda x: (1 - x * x) / (1 + x * x) ** 2, (3, 4)),
    ]
]

# -------------------------------------------------------------------------------------------- products


def matmul_backward(dy, a, b):
    return dy @ b.mT, a.mT @ dy


def shared_matrix_backward(dy, a, b):
    return dy @ b.T, (a.mT @ dy).sum(axis=0)


def chain(a, b, c):
    return np.einsum("ij,jk,k->i", a, b, c)


def chain_backward(dy, a, b, c):
    return np.outer(dy, b @ c), np.outer(a.T @ dy, c), b.T @ a.T @ dy


def bilinear_form(x, A, y):
    return x @ A @ y


def bilinear_form_backward(dy, x, A, y):
    return dy * A @ y, dy * np.outer(x, y), dy * x @ A


def tensordot_backward(dy, a, b):
    return np.einsum("il,jkl->ijk", dy, b), np.einsum("il,ijk->jkl", dy, a)


def kron_backward(dy, a, b):
    dy = dy.reshape(a.shape[0], b.shape[0], a.shape[1], b.shape[1])
    return np.einsum("ipjq,pq->ij", dy, b), np.einsum("ipjq,ij->pq", dy, a)


def squared_distances(x, y):
    return ((x[:, None] - y) ** 2).sum(axis=-1)


def squared_distances_backward(dy, x, y):
    weighted = 2 * dy[..., None] * (x[:, None] - y)
    return weighted.sum(axis=1), -weighted.sum(axis=0)


def gaussian_kernel(x, width):
    return np.exp(-squared_distances(x, x) / width)


def gaussian_kernel_backward(dy, x, width):
    slope = -dy * gaussian_kernel(x, width) / width
    dx, dy_side = squared_distances_backward(slope, x, x)
    return dx + dy_side, -(slope * squared_distances(x, x)).sum() / width


def cubed(A):
    return A @ A @ A


def cubed_backward(dy, A):
    return dy @ (A @ A).T + A.T @ dy @ A.T + (A @ A).T @ dy


PRODUCTS = [
    function("product", name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("matmul", np.matmul, matmul_backward, [(3, 4), (4, 2)]),
        ("matmul of batches", np.matmul, matmul_backward, [(2, 3, 4), (2, 4, 2)]),
        ("matmul of a batch with one matrix", np.matmul, shared_matrix_backward, [(3, 2, 4), (4, 2)]),
        ("matrix times vector", np.matmul, lambda dy, A, x: (np.outer(dy, x), A.T @ dy), [(3, 4), (4,)]),
        ("dot", np.dot, lambda dy, x, y: (dy * y, dy * x), [(5,), (5,)]),
        ("square of a vector", lambda x: x @ x, lambda dy, x: 2 * dy * x, [(5,)]),
        ("outer", np.outer, lambda dy, x, y: (dy @ y, x @ dy), [(3,), (4,)]),
        ("einsum of three", chain, chain_backward, [(3, 4), (4, 2), (2,)]),
        (
            "einsum trace of a product",
            lambda a, b: np.einsum("ij,ji", a, b),
            lambda dy, a, b: (dy * b.T, dy * a.T),
            [(3, 4), (4, 3)],
        ),
        ("bilinear form", bilinear_form, bilinear_form_backward, [(3,), (3, 4), (4,)]),
        (
            "quadratic form",
            lambda x, A: x @ A @ x,
            lambda dy, x, A: (dy * (A + A.T) @ x, dy * np.outer(x, x)),
            [(4,), (4, 4)],
        ),
        ("tensordot", lambda a, b: np.tensordot(a, b, 2), tensordot_backward, [(2, 3, 4), (3, 4, 2)]),
        ("Kronecker product", np.kron, kron_backward, [(2, 3), (3, 2)]),
        ("cross product", np.cross, lambda dy, x, y: (np.cross(y, dy), np.cross(dy, x)), [(4, 3), (4, 3)]),
        ("Gram matrix", lambda x: x @ x.T, lambda dy, x: (dy + dy.T) @ x, [(3, 4)]),
        ("squared distances", squared_distances, squared_distances_backward, [(3, 2), (4, 2)]),
        ("Gaussian kernel", gaussian_kernel, gaussian_kernel_backward, [(4, 2), 1.5]),
        ("third power of a matrix", cubed, cubed_backward, [(3, 3)]),
    ]
]

# -------------------------------------------------------------------------------------- linear algebra


def near_identity(*shape: int) -> Function:
    """Return an input of matrices that are far from singular."""
    return lambda draw: 2 * np.eye(shape[-1]) + 0.4 * draw.normal(size=shape)


def solve_backward(dy, A, b):
    db = np.linalg.solve(A.T, dy)
    return -np.outer(db, np.linalg.solve(A, b)) if b.ndim == 1 else -db @ np.linalg.solve(A, b).T, db


def lower_solve(L, b):
    return np.linalg.solve(np.tril(L), b)


def lower_solve_backward(dy, L, b):
    dL, db = solve_backward(dy, np.tril(L), b)
    return np.tril(dL), db


def inverse_backward(dy, A):
    B = np.linalg.inv(A)
    return -B.mT @ dy @ B.mT


def det_backward(dy, A):
    return np.reshape(dy * np.linalg.det(A), (*A.shape[:-2], 1, 1)) * np.linalg.inv(A).mT


def log_det(A):
    return np.linalg.slogdet(A)[1]


def positive_definite(B):
    return B @ B.T + np.eye(len(B))


def cholesky(B):
    return np.linalg.cholesky(positive_definite(B))


def cholesky_backward(dy, B):
    L = cholesky(B)
    inside = np.tril(L.T @ dy) - np.diag(np.diag(L.T @ dy)) / 2
    half = np.linalg.solve(L.T, inside) @ np.linalg.inv(L)
    return (half + half.T) @ B


def eigenvalues(A):
    return np.linalg.eigvalsh((A + A.T) / 2)


def eigenvalues_backward(dy, A):
    _, Q = np.linalg.eigh((A + A.T) / 2)
    return Q * dy @ Q.T


def singular_values_backward(dy, A):
    U, _, Vt = np.linalg.svd(A, full_matrices=False)
    return U * dy @ Vt


def matrix_exponential(A):
    """Return exp of the symmetric part."""
    w, Q = np.linalg.eigh((A + A.T) / 2)
    return Q * np.exp(w) @ Q.T


def matrix_exponential_backward(dy, A):
    w, Q = np.linalg.eigh((A + A.T) / 2)
    gaps = w[:, None] - w + np.eye(len(w))
    quotients = np.where(np.eye(len(w)) == 1, np.exp(w), (np.exp(w)[:, None] - np.exp(w)) / gaps)
    dA = Q @ (quotients * (Q.T @ dy @ Q)) @ Q.T
    return (dA + dA.T) / 2


def least_squares(A, b):
    return np.linalg.solve(A.T @ A, A.T @ b)


def least_squares_backward(dy, A, b):
    x, u = least_squares(A, b), np.linalg.solve(A.T @ A, dy)
    return np.outer(b - A @ x, u) - np.outer(A @ u, x), A @ u


def mahalanobis(x, A):
    return x @ np.linalg.solve(positive_definite(A), x)


def mahalanobis_backward(dy, x, A):
    u = np.linalg.solve(positive_definite(A), x)
    return 2 * dy * u, -2 * dy * np.outer(u, u) @ A


def gaussian_likelihood(x, mean, A):
    """Return log det S + (x - mean) S^-1 (x - mean), S = A A^T + 1"""
    return log_det(positive_definite(A)) + mahalanobis(x - mean, A)


def gaussian_likelihood_backward(dy, x, mean, A):
    dx, dA = mahalanobis_backward(dy, x - mean, A)
    return dx, -dx, dA + 2 * dy * np.linalg.solve(positive_definite(A), A)


ALGEBRA = [
    function("linear algebra", name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("solve for a vector", np.linalg.solve, solve_backward, [near_identity(3, 3), (3,)]),
        ("solve for a matrix", np.linalg.solve, solve_backward, [near_identity(3, 3), (3, 2)]),
        ("triangular solve", lower_solve, lower_solve_backward, [near_identity(4, 4), (4,)]),
        ("inverse", np.linalg.inv, inverse_backward, [near_identity(3, 3)]),
        ("inverse of a batch", np.linalg.inv, inverse_backward, [near_identity(2, 3, 3)]),
        ("determinant", np.linalg.det, det_backward, [near_identity(3, 3)]),
        ("determinants of a batch", np.linalg.det, det_backward, [near_identity(4, 2, 2)]),
        ("logarithm of the determinant", log_det, lambda dy, A: dy * np.linalg.inv(A).T, [near_identity(4, 4)]),
        (
            "logarithm of a negative determinant",
            log_det,
            lambda dy, A: dy * np.linalg.inv(A).T,
            [np.array([[0.2, 1], [2, 0.3]])],
        ),
        ("trace", np.trace, lambda dy, A: dy * np.eye(*A.shape), [(3, 4)]),
        (
            "trace of the inverse",
            lambda A: np.trace(np.linalg.inv(A)),
            lambda dy, A: -dy * np.linalg.inv(A @ A).T,
            [near_identity(3, 3)],
        ),
        ("Cholesky factor", cholesky, cholesky_backward, [(3, 3)]),
        ("Frobenius norm", np.linalg.norm, lambda dy, A: dy * A / np.linalg.norm(A), [(3, 4)]),
        ("eigenvalues of a symmetric matrix", eigenvalues, eigenvalues_backward, [(4, 4)]),
        ("sum of the eigenvalues", lambda A: eigenvalues(A).sum(), lambda dy, A: dy * np.eye(len(A)), [(4, 4)]),
        (
            "largest eigenvalue",
            lambda A: eigenvalues(A)[-1],
            lambda dy, A: eigenvalues_backward(dy * np.eye(4)[3], A),
            [(4, 4)],
        ),
        ("singular values", lambda A: np.linalg.svd(A)[1], singular_values_backward, [(3, 4)]),
        (
            "nuclear norm",
            lambda A: np.linalg.svd(A)[1].sum(),
            lambda dy, A: singular_values_backward(dy * np.ones(3), A),
            [(3, 4)],
        ),
        ("exponential of a symmetric matrix", matrix_exponential, matrix_exponential_backward, [(3, 3)]),
        ("least squares", least_squares, least_squares_backward, [(5, 3), (5,)]),
        ("Mahalanobis distance", mahalanobis, mahalanobis_backward, [(3,), (3, 3)]),
        ("Gaussian likelihood", gaussian_likelihood, gaussian_likelihood_backward, [(3,), (3,), (3, 3)]),
    ]
] + [
    linear(
        "linear algebra",
        "Hankel matrix",
        lambda x: x[np.add.outer(range(3), range(3))],
        lambda dy: np.array([np.trace(dy[:, ::-1], 2 - k) for k in range(5)]),
        (5,),
    ),
]

# --------------------------------------------------------------------------------- physics and geometry


def rotation(angle, x):
    """Return the rows x (N, 2), rotated."""
    return x @ turn(angle).T


def turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def rotation_backward(dy, angle, x):
    return (dy * rotation(angle + np.pi / 2, x)).sum(), dy @ turn(angle)


def euler_steps(x, rate):
    """Return x after 10 steps of x <- x + 0.1 rate x (1 - x)."""
    for _ in range(10):
        x = x + 0.1 * rate * x * (1 - x)
    return x


def euler_steps_backward(dy, x, rate):
    states = [x]
    for _ in range(9):
        states.append(euler_steps_once(states[-1], rate))
    drate = np.zeros_like(rate)
    for x in reversed(states):
        drate += 0.1 * dy * x * (1 - x)
        dy = dy * (1 + 0.1 * rate * (1 - 2 * x))
    return dy, drate


def euler_steps_once(x, rate):
    return x + 0.1 * rate * x * (1 - x)


def newton_root(a):
    """Return sqrt(a) by Newton's method."""
    x = np.ones_like(a)
    for _ in range(30):
        x = (x + a / x) / 2
    return x


def mixture(z, mean):
    """Return the log-likelihood of a mixture of Gaussians of equal weights        z (N, 1), mean (1, K)"""
    return np.log(np.exp(-((z - mean) ** 2) / 2).sum(axis=1)).sum()


def mixture_backward(dy, z, mean):
    density = np.exp(-((z - mean) ** 2) / 2)
    share = dy * density / density.sum(axis=1, keepdims=True) * (mean - z)
    return share.sum(axis=1, keepdims=True), -share.sum(axis=0, keepdims=True)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_backward(dy, x):
    dx, gap = np.zeros_like(x), x[1:] - x[:-1] ** 2
    dx[1:] = 200 * gap
    dx[:-1] -= 400 * x[:-1] * gap + 2 * (1 - x[:-1])
    return dy * dx


def kl_of_gaussians(mean, log_variance):
    """Return the divergence from a standard normal distribution, as in a variational autoencoder."""
    return (np.exp(log_variance) + mean**2 - 1 - log_variance).sum() / 2


def kl_of_gaussians_backward(dy, mean, log_variance):
    return dy * mean, dy * (np.exp(log_variance) - 1) / 2


def reparametrized(mean, log_variance, noise):
    return mean + np.exp(log_variance / 2) * noise


def reparametrized_backward(dy, mean, log_variance, noise):
    return dy, dy * np.exp(log_variance / 2) * noise / 2, None


def polar(r, angle):
    return np.stack([r * np.cos(angle), r * np.sin(angle)])


def polar_backward(dy, r, angle):
    c, s = np.cos(angle), np.sin(angle)
    return dy[0] * c + dy[1] * s, r * (dy[1] * c - dy[0] * s)


MODELS = [
    function("model", name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("rotation", rotation, rotation_backward, [0.7, (4, 2)]),
        ("polar coordinates", polar, polar_backward, [uniform(0.5, 2, 4), (4,)]),
        ("ten steps of a differential equation", euler_steps, euler_steps_backward, [uniform(0.1, 0.9, 4), (4,)]),
        ("square root by Newton's method", newton_root, lambda dy, a: dy / 2 / np.sqrt(a), [uniform(0.5, 4, 5)]),
        ("mixture of Gaussians", mixture, mixture_backward, [(5, 1), (1, 3)]),
        ("Rosenbrock", rosenbrock, rosenbrock_backward, [(5,)]),
        ("Rosenbrock at its minimum", rosenbrock, rosenbrock_backward, [np.ones(4)]),
        ("divergence of Gaussians", kl_of_gaussians, kl_of_gaussians_backward, [(4,), normal(0.5, 4)]),
        ("reparametrized noise", reparametrized, reparametrized_backward, [(4,), (4,), (4,)]),
    ]
]

CASES = [*ELEMENTARY, *PRODUCTS, *ALGEBRA, *MODELS]
