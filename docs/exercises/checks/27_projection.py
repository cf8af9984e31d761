import numpy as np
from checking import Mistake, compare, slope

HINTS = (
    "A sum in forward passes dy to both of its terms unchanged.",
    "The shortcut is a dense layer without bias, with dy as its gradient: see chapter 2 for its dx and dW.",
    "The block is a dense layer with tanh: its gradient is dz.",
    "dWs = x.T @ dy and dx = dz @ W.T + dy @ Ws.T",
)


def check(answer):
    draw = np.random.default_rng(27)
    x, dy, W, Ws = (draw.normal(size=shape) for shape in [(4, 3), (4, 5), (3, 5), (3, 5)])
    dz = dy * (1 - np.tanh(x @ W) ** 2)
    found = answer.residual_backward(dy, x, W, Ws)
    if not isinstance(found, tuple) or len(found) != 3:
        raise Mistake("expected three gradients: return dx, dW, dWs")
    dx, dW, dWs = found

    def measured(name):
        arrays = {"x": x, "W": W, "Ws": Ws}
        return slope(lambda value: (dy * answer.residual(**arrays | {name: value})).sum(), arrays[name])

    mistakes = {
        "this is dW; the way around has no tanh, and dy arrives there as it is": x.T @ dz,
        "a mean over the rows; 1/N belongs to the loss, a layer adds up": x.T @ dy / len(x),
        "half of dy; a sum hands the whole of it to both of its terms": x.T @ dy / 2,
        "x and dy are the wrong way round; this is the transpose of dWs": dy.T @ x,
        "both ways are in it; dWs belongs to the way around alone": x.T @ (dy + dz),
    }
    compare("dWs", dWs, measured("Ws"), mistakes)
    mistakes = {
        "the way around is missing": dz @ W.T,
        "the way through the block is missing": dy @ Ws.T,
        "the tanh is on both ways; around the block dy arrives as it is": dz @ W.T + dz @ Ws.T,
        "the tanh is on neither way; through the block it is dz that arrives": dy @ W.T + dy @ Ws.T,
        "W and Ws are exchanged": dz @ Ws.T + dy @ W.T,
        "the two ways are multiplied; they stand side by side, so they add up": (dz @ W.T) * (dy @ Ws.T),
        "the mean of the two ways; a sum in forward is a sum in backward": (dz @ W.T + dy @ Ws.T) / 2,
        "one way is taken off the other; a plus in forward is a plus in backward": dz @ W.T - dy @ Ws.T,
    }
    compare("dx", dx, measured("x"), mistakes)
    compare("dW", dW, measured("W"), {"dW is dWs; the block's tanh is left out": x.T @ dy})
