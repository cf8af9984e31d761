"""Every argument of the Keras classes that tinynet reads, and of `compile`: what becomes of it.

A test compares these tables with the signatures of the installed Keras. A file of a newer Keras may have arguments that
are in no table; they are refused unless they are None or False.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Fate = Literal["carried over", "changes the outputs", "changes the training", "irrelevant"]


class Argument(NamedTuple):
    """What becomes of an argument, the reason, and for "changes ..." the values that change nothing.

    carried over          the reader uses it, and refuses the values that it does not support
    changes the outputs   from_keras and resume_keras refuse other values than `usual`
    changes the training  resume_keras refuses other values than `usual`
    irrelevant            does not change the numbers
    """

    fate: Fate
    reason: str
    usual: tuple[Any, ...] = (None,)


Table = Mapping[str, Argument]
"""Arguments by name, or by class and name ("RMSprop.momentum") if one class differs from the others."""


def _outputs(reason: str, *usual: Any) -> Argument:
    return Argument("changes the outputs", reason, usual or (None,))


def _training(reason: str, *usual: Any) -> Argument:
    return Argument("changes the training", reason, usual or (None,))


CARRIED = Argument("carried over", "")
INITIALIZER = Argument("irrelevant", "the file holds the numbers")
REGULARIZER = _training("adds a term to the loss")
CONSTRAINT = _training("changes the parameters after each step")
NAME = Argument("irrelevant", "a label")
SPEED = Argument("irrelevant", "how Keras runs a step")
REPORT = Argument("irrelevant", "what Keras reports about a training")

UNKNOWN = _outputs("an argument of a newer Keras", None, False)

LAYERS: Table = {
    "name": NAME,
    "trainable": CARRIED,
    "dtype": _outputs("computes with other precision, or rounds the inputs", None, "float32", "float64"),
    "autocast": Argument("irrelevant", "all layers compute with the precision of the parameters"),
    "activity_regularizer": REGULARIZER,
    "batch_input_shape": CARRIED,
    "build_config": CARRIED,
    # InputLayer
    "shape": CARRIED,
    "batch_shape": CARRIED,
    "batch_size": Argument("irrelevant", "a network takes batches of any size"),
    "sparse": Argument("irrelevant", "a storage format of the inputs"),
    "ragged": _outputs("rows of different lengths", None, False),
    "input_tensor": Argument("irrelevant", "not in files"),
    "optional": _outputs("allows None as the input", None, False),
    # Dense, Conv2D, Activation
    "units": CARRIED,
    "filters": CARRIED,
    "kernel_size": CARRIED,
    "strides": CARRIED,
    "padding": CARRIED,
    "activation": CARRIED,
    "use_bias": _training("our layers have a bias, which would be trained", True),
    "kernel_initializer": INITIALIZER,
    "bias_initializer": INITIALIZER,
    "kernel_regularizer": REGULARIZER,
    "bias_regularizer": REGULARIZER,
    "kernel_constraint": CONSTRAINT,
    "bias_constraint": CONSTRAINT,
    "lora_rank": _outputs("another kernel"),
    "lora_alpha": Argument("irrelevant", "used with a lora_rank only"),
    "quantization_config": _outputs("other numbers"),
    "data_format": _outputs("channels in front", None, "channels_last"),
    "dilation_rate": _outputs("patches with holes", None, 1, [1, 1]),
    "groups": _outputs("not every channel sees every channel", None, 1),
    # pooling
    "pool_size": CARRIED,
    "keepdims": _outputs("another shape", None, False),
    # normalization
    "axis": _outputs("normalizes, or sums, along another axis", None, -1, [-1]),
    "momentum": CARRIED,
    "epsilon": CARRIED,
    "center": _training("our layers have a beta, which would be trained", True),
    "scale": _training("our layers have a gamma, which would be trained", True),
    "rms_scaling": _outputs("subtracts no mean", None, False),
    "beta_initializer": INITIALIZER,
    "gamma_initializer": INITIALIZER,
    "moving_mean_initializer": INITIALIZER,
    "moving_variance_initializer": INITIALIZER,
    "beta_regularizer": REGULARIZER,
    "gamma_regularizer": REGULARIZER,
    "beta_constraint": CONSTRAINT,
    "gamma_constraint": CONSTRAINT,
    "renorm": _outputs("has more arrays and another training pass", None, False),
    "renorm_clipping": Argument("irrelevant", "used with renorm only"),
    "renorm_momentum": Argument("irrelevant", "used with renorm only"),
    "synchronized": Argument("irrelevant", "a training on one device has nothing to synchronize"),
    "fused": SPEED,
    "virtual_batch_size": _training("normalizes parts of a batch"),
    # activation functions and Dropout
    "negative_slope": CARRIED,
    "alpha": CARRIED,
    "max_value": _outputs("bounds the outputs"),
    "threshold": _outputs("another function", None, 0),
    "rate": CARRIED,
    "noise_shape": _outputs("one mask for several numbers"),
    "seed": Argument("irrelevant", "tinynet draws other masks of the same distribution"),
}

LOSSES: Table = {
    "name": NAME,
    "fn": Argument("irrelevant", "the function of the class"),
    "dtype": _training("computes with other precision", None, "float32", "float64"),
    "from_logits": CARRIED,
    "axis": _training("classes along another axis", -1),
    "reduction": _training("another scale of the loss", "sum_over_batch_size", "mean", "auto"),
    "ignore_class": _training("leaves rows out"),
    "label_smoothing": CARRIED,
    "binary_crossentropy.label_smoothing": _training("changes the targets", 0),
}

OPTIMIZERS: Table = {
    "name": NAME,
    "learning_rate": CARRIED,
    "lr": CARRIED,
    "momentum": CARRIED,
    "nesterov": CARRIED,
    "beta_1": CARRIED,
    "beta_2": CARRIED,
    "rho": CARRIED,
    "epsilon": CARRIED,
    "weight_decay": CARRIED,
    "global_clipnorm": CARRIED,
    "RMSprop.momentum": _training("another update rule", None, 0),
    "amsgrad": _training("another update rule", None, False),
    "centered": _training("another update rule", None, False),
    "clipnorm": _training("clips array by array", None, 0),
    "clipvalue": _training("clips number by number", None, 0),
    "decay": _training("a schedule of the learning rate", None, 0),
    "gradient_accumulation_steps": _training("fewer and larger steps"),
    "use_ema": _training("averages the parameters", None, False),
    "ema_momentum": Argument("irrelevant", "used with use_ema only"),
    "ema_overwrite_frequency": Argument("irrelevant", "used with use_ema only"),
    "loss_scale_factor": Argument("irrelevant", "the optimizer divides the gradients by it again"),
    "is_legacy_optimizer": SPEED,
    "jit_compile": SPEED,
}

COMPILE: Table = {
    "optimizer": CARRIED,
    "optimizer_config": CARRIED,
    "loss": CARRIED,
    "loss_weights": _training("another scale of the loss"),
    "sample_weight_mode": _training("weights of time steps"),
    "metrics": REPORT,
    "weighted_metrics": REPORT,
    "run_eagerly": SPEED,
    "steps_per_execution": SPEED,
    "jit_compile": SPEED,
    "auto_scale_loss": Argument("irrelevant", "used with float16 only, which is refused as the dtype of a layer"),
}


def argument(table: Table, kind: str, name: str) -> Argument:
    return table.get(f"{kind}.{name}", table.get(name, UNKNOWN))


def unusual(table: Table, kind: str, options: Mapping[str, Any], *fates: Fate) -> list[str]:
    """Return the options of these fates whose values are not the usual ones, such as "momentum=0.9"."""
    found = [(name, plain(value), argument(table, kind, name)) for name, value in options.items()]
    return [f"{name}={value}" for name, value, known in found if known.fate in fates and value not in known.usual]


def plain(value: Any) -> Any:
    """Return an object in a file in short form: a dtype policy as its name, others as "L2({'l2': 0.1})"."""
    if not (isinstance(value, dict) and "class_name" in value):
        return value
    config = value.get("config")
    is_policy = f"{value['class_name']}".endswith("Policy") and isinstance(config, dict) and "name" in config
    return config["name"] if is_policy and isinstance(config, dict) else f"{value['class_name']}({config})"


def is_from_keras(said: Mapping[str, Any]) -> bool:
    """Return whether an object in a file is one of Keras. Old files and HDF5 files do not say."""
    module = f"{said.get('module', 'keras')}"
    return module.split(".")[0] in ("keras", "tf_keras", "tensorflow", "builtins")
