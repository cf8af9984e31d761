"""tinynet: neural networks from scratch on NumPy.

Reading order: functions, layers, losses, network, optim, training, gradcheck. They are the course. The other folders
serve it: arrays, data, files, inspect, interop, parallel, report and testing; kernels come last, or never.
"""

from typing import TYPE_CHECKING, Any

from . import data, functions
from .arrays.backend import Backend, backend, backends
from .files.archive import ModelFileError
from .files.network_file import load, resume, save
from .gradcheck import gradient_check, gradient_check_function, gradient_check_layer, gradient_check_loss
from .gradcheck.report import Comparison, GradientReport
from .inspect.compare_backends import BackendComparison, Difference, compare_backends
from .inspect.diagnosis import diagnose
from .inspect.diagnosis_report import Diagnosis, LayerStep
from .interop.callbacks import CSVLogger, LivePlot, TensorBoard
from .interop.keras import from_keras, resume_keras, to_keras
from .interop.onnx import to_onnx
from .interop.safetensors import from_safetensors, to_safetensors
from .layers import (
    GELU,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
)
from .losses import BinaryCrossEntropy, CrossEntropy, Huber, Loss, MeanSquaredError, SoftmaxCrossEntropy
from .network import Network, mlp
from .optim import SGD, Adam, AdamW, Optimizer, RMSProp, constant, cosine, step_decay, warm_up
from .parallel.data_parallel import data_parallel
from .parallel.processes import Processes
from .parallel.train_many import Job, Outcome, Trained, train_many
from .report import Run, report
from .training.evaluation import Evaluation, evaluate, outputs, predict, predict_classes
from .training.fit import fit
from .training.history import History, Record
from .training.listeners import Listener, StopTraining

if TYPE_CHECKING:
    from .interop.sklearn import Classifier as Classifier
    from .interop.sklearn import Regressor as Regressor

__version__ = "0.1.0"
__all__ = [
    "functions",
    "data",
    "Layer",
    "Dense",
    "ReLU",
    "LeakyReLU",
    "Tanh",
    "Sigmoid",
    "GELU",
    "Softmax",
    "Dropout",
    "Conv2D",
    "MaxPool2D",
    "AveragePool2D",
    "GlobalAveragePool",
    "BatchNorm",
    "LayerNorm",
    "Flatten",
    "Residual",
    "Loss",
    "SoftmaxCrossEntropy",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "MeanSquaredError",
    "Huber",
    "Network",
    "mlp",
    "Optimizer",
    "SGD",
    "Adam",
    "AdamW",
    "RMSProp",
    "constant",
    "step_decay",
    "cosine",
    "warm_up",
    "fit",
    "evaluate",
    "predict",
    "predict_classes",
    "outputs",
    "Evaluation",
    "History",
    "Record",
    "Listener",
    "StopTraining",
    "gradient_check",
    "gradient_check_layer",
    "gradient_check_loss",
    "gradient_check_function",
    "GradientReport",
    "Comparison",
    "save",
    "load",
    "resume",
    "ModelFileError",
    "from_keras",
    "resume_keras",
    "to_keras",
    "from_safetensors",
    "to_safetensors",
    "to_onnx",
    "TensorBoard",
    "CSVLogger",
    "LivePlot",
    "Run",
    "report",
    "Backend",
    "backend",
    "backends",
    "data_parallel",
    "train_many",
    "Processes",
    "Job",
    "Outcome",
    "Trained",
    "compare_backends",
    "BackendComparison",
    "Difference",
    "diagnose",
    "Diagnosis",
    "LayerStep",
]


def __getattr__(name: str) -> Any:
    """Import the estimators on first use, because their base classes are those of scikit-learn."""
    if name in ("Classifier", "Regressor"):
        from .arrays.optional import optional_import

        optional_import("sklearn", "sklearn")
        from .interop import sklearn

        return getattr(sklearn, name)
    raise AttributeError(f"module 'tinynet' has no attribute {name!r}")
