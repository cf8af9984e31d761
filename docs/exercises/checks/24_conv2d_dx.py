import numpy as np
from checking import compare, slope

HINTS = (
    "y[m, i, j] depends on the pixels of one patch. How does it change with each of them?",
    "By its weight in W[m]. So dy[m, i, j] W[m] is added at the position of the patch.",
    "Other patches may overlap this one. If forward uses a value twice, backward sums both gradients.",
    "dx[:, down : down + size, across : across + size] += dy[m, i, j] * W[m]",
)


def check(answer):
    draw = np.random.default_rng(24)
    x, W = draw.normal(size=(2, 6, 8)), draw.normal(size=(3, 2, 3, 3))
    for stride in (1, 2):
        dy = draw.normal(size=answer.conv2d(x, W, stride).shape)
        right = slope(lambda x, dy=dy, stride=stride: (dy * answer.conv2d(x, W, stride)).sum(), x)
        mistakes = {
            "where patches overlap, the last one wipes out what the others brought; it must be added": laid(
                dy, W, x.shape, stride, add=False
            ),
            "nothing is brought back; y[m, i, j] has dy[m, i, j] to send to its patch": np.zeros(x.shape),
            "W is upside down; the weight that stood on a pixel in forward stands on it in backward": laid(
                dy, W[..., ::-1, ::-1], x.shape, stride
            ),
            "W is the wrong way round, rows for columns": laid(dy, W.swapaxes(-1, -2), x.shape, stride),
            "dy is missing; each patch brings W times the dy of its own y": laid(np.ones_like(dy), W, x.shape, stride),
            "W is missing; a pixel with a large weight moved y more than others did": laid(
                dy, np.ones_like(W), x.shape, stride
            ),
            "every patch brings the weights of all outputs; dy[m] goes with W[m] alone": laid(
                dy, W.sum(axis=0) + 0 * W, x.shape, stride
            ),
            "a mean over the patches that see a pixel; backward adds up": laid(dy, W, x.shape, stride)
            / np.maximum(laid(np.ones_like(dy[:1]), np.ones_like(W[:1]), x.shape, stride), 1),
            "with stride 2 patches stand at 0, 2, 4, ..., and the gradient must go back there": laid(
                dy, W, x.shape, stride=1
            ),
        }
        compare("dx" if stride == 1 else "dx with stride 2", answer.conv2d_dx(dy, W, x.shape, stride), right, mistakes)


def laid(dy, W, shape, stride, add=True):
    """Return dx: W times dy added at the position of each patch."""
    dx, size = np.zeros(shape), W.shape[-1]
    for m, i, j in np.ndindex(dy.shape):
        place = dx[:, i * stride : i * stride + size, j * stride : j * stride + size]
        place[...] = dy[m, i, j] * W[m] + (place if add else 0)
    return dx
