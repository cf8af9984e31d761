"""What `predict` makes of a network's outputs, by its name as an activation."""

from __future__ import annotations

from ..losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from ..network import Network
from ..training.input_validation import loss_for

ACTIVATIONS = {
    Loss.predictions: "linear",
    SoftmaxCrossEntropy.predictions: "softmax",
    BinaryCrossEntropy.predictions: "sigmoid",
}


def last_activation(network: Network, logits: bool) -> str:
    """ "linear", "softmax" or "sigmoid": what stands behind the last layer in `predict`; "linear" with `logits`.

    ValueError where nothing says what the outputs mean.
    """
    if logits:
        return "linear"
    if network.loss is None and network.output_shape(None) == (1,):
        raise ValueError(
            "one output means nothing before any training: set network.loss, as to tn.BinaryCrossEntropy() or "
            "tn.MeanSquaredError(), or take it as it is with logits=True"
        )
    loss = loss_for(network)
    if type(loss).predictions not in ACTIVATIONS:
        raise ValueError(f"{loss} makes predictions in a way of its own; take the outputs with logits=True")
    return ACTIVATIONS[type(loss).predictions]
