"""The activation that `predict` applies to a network's outputs."""

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
    """Return the activation that `predict` applies, "linear", "softmax" or "sigmoid"; "linear" with `logits`.

    Raises ValueError if the meaning of the outputs is unknown.
    """
    if logits:
        return "linear"
    if network.loss is None and network.output_shape(None) == (1,):
        raise ValueError(
            "the meaning of one output is unknown before training: set network.loss, such as to "
            "tn.BinaryCrossEntropy() or tn.MeanSquaredError(), or pass logits=True"
        )
    loss = loss_for(network)
    if type(loss).predictions not in ACTIVATIONS:
        raise ValueError(f"{loss} defines its own predictions, which have no activation here; pass logits=True")
    return ACTIVATIONS[type(loss).predictions]
