"""A training that began in Keras goes on here as it does there, or it is refused."""

import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "numpy")

import keras_training_program as program
import numpy as np
import pytest

import tinynet as tn
from tinynet.interop import keras_files

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with each model after three epochs and its predictions after twenty more."""
    path = tmp_path_factory.mktemp("keras")
    subprocess.run([sys.executable, program.__file__, str(path)], check=True, capture_output=True)
    return path


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "keras") for name in program.CASES), ("loss as a function", "h5"), ("momentum", "h5")]
)
def test_a_training_goes_on_as_in_keras(folder, monkeypatch, name, kind):
    monkeypatch.setattr(keras_files, "apart", lambda path: keras_files.told(str(path)))
    net, optimizer = tn.resume_keras(folder / f"{name}.{kind}")
    x = program.inputs(name)
    x = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    targets = program.CASES[name][2]
    before = predicted(net, x, name)
    tn.fit(net, optimizer, x, targets, epochs=program.EPOCHS, batch_size=8, progress=False)
    expected = np.load(folder / f"{name}.npy")
    assert abs(before - expected).max() > 0.005
    np.testing.assert_allclose(predicted(net, x, name), expected, rtol=0, atol=1e-5)


def predicted(net, x, name):
    return tn.outputs(net, x) if "logit" in name else tn.predict(net, x)
