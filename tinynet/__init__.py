"""tinynet: neural networks from scratch on NumPy.

In reading order: functions, layers, losses, network, optim, training (with examples/training_loop.py beside it) and
gradcheck. Beside the course: arrays, data, files, inspect and report; kernels last or never.
"""

from . import data, functions
from .arrays.backend import Backend, backend, backends
from .files.archive import ModelFileError
from .files.network_file import load, resume, save
from .gradcheck import gradient_check, gradient_check_function, gradient_check_layer, gradient_check_loss
from .inspect.compare_backends import Difference, TwinReport, compare_backends
from .inspect.diagnosis import diagnose
from .inspect.diagnosis_report import Diagnosis, LayerStep
from .inspect.gradient_report import Comparison, GradientReport
from .layers import GELU, Dense, Dropout, Flatten, Layer, LeakyReLU, ReLU, Residual, Sigmoid, Softmax, Tanh
from .losses import BinaryCrossEntropy, CrossEntropy, Huber, Loss, MeanSquaredError, SoftmaxCrossEntropy
from .network import Network, mlp
from .optim import SGD, Adam, AdamW, Optimizer, RMSProp, constant, cosine, step_decay, warm_up
from .parallel.across import across
from .parallel.many import Job, Outcome, Trained, train_many
from .report import Run, report
from .training.evaluation import Evaluation, evaluate, outputs, predict, predict_classes
from .training.history import History, Record
from .training.loop import fit

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
    "Run",
    "report",
    "Backend",
    "backend",
    "backends",
    "across",
    "train_many",
    "Job",
    "Outcome",
    "Trained",
    "compare_backends",
    "TwinReport",
    "Difference",
    "diagnose",
    "Diagnosis",
    "LayerStep",
]
