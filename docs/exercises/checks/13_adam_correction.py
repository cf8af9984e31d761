import numpy as np
from checking import Mistake, compare

HINTS = (
    "After the first step m is 0.1 g and v is 0.001 g^2. What is m / sqrt(v)? What should it be?",
    "After t steps m holds the share 1 - beta1^t of its weights. Divide by it; the same for v.",
    "m / (1 - beta1**step) and v / (1 - beta2**step), in new variables: m and v themselves must not change.",
)
GRADS = [np.array([1.0, -1e-4, 2.0]), np.array([0.5, 3e-4, -1.0]), np.array([-1.0, 1e-4, 1.0])]
LR, B1, B2, EPS = 0.001, 0.9, 0.999, 1e-4


def check(answer):
    theta, m, v = (np.zeros(3) for _ in range(3))
    with np.errstate(all="ignore"):
        for step, g in enumerate(GRADS, start=1):
            answer.adam(theta, g, m, v, step, LR, B1, B2, EPS)
    if not np.isfinite(theta).all():
        raise Mistake("theta is not finite: the first step has step = 1, and 1 - beta^0 would be zero")
    right, right_m, right_v = walk(lambda m, v, k: (m / (1 - B1**k)) / (np.sqrt(v / (1 - B2**k)) + EPS))
    mistakes = {
        "the first step is 0.1 / sqrt(0.001) = 3.2 times as long as lr": walk(lambda m, v, k: m / (np.sqrt(v) + EPS))[
            0
        ],
        "only m is corrected; v starts at zero as well": walk(lambda m, v, k: m / (1 - B1**k) / (np.sqrt(v) + EPS))[0],
        "only v is corrected; m starts at zero as well": walk(lambda m, v, k: m / (np.sqrt(v / (1 - B2**k)) + EPS))[0],
        "eps stands inside the root; Algorithm 1 adds it to the root": walk(
            lambda m, v, k: m / (1 - B1**k) / np.sqrt(v / (1 - B2**k) + EPS)
        )[0],
        "eps is added before the correction (Keras does so); Algorithm 1 corrects first": walk(
            lambda m, v, k: m / (1 - B1**k) * np.sqrt(1 - B2**k) / (np.sqrt(v) + EPS)
        )[0],
        "m is multiplied with its correction, where it should be divided": walk(
            lambda m, v, k: m * (1 - B1**k) / (np.sqrt(v / (1 - B2**k)) + EPS)
        )[0],
    }
    compare("theta after three steps", theta, right, mistakes, tolerance=1e-9)
    kept = "m must stay uncorrected for the next step; give the corrected one a name of its own"
    compare("m after three steps", m, right_m, {kept: right_m / (1 - B1**3)})
    compare("v after three steps", v, right_v, {kept.replace("m", "v", 1): right_v / (1 - B2**3)})


def walk(direction):
    """Return theta, m and v after the three gradients, if theta moves by lr times this direction."""
    theta, m, v = (np.zeros(3) for _ in range(3))
    for k, g in enumerate(GRADS, start=1):
        m = m + (1 - B1) * (g - m)
        v = v + (1 - B2) * (g * g - v)
        theta = theta - LR * direction(m, v, k)
    return theta, m, v
