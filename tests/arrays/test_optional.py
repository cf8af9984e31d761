"""Imports of libraries that are not required."""

import sys

import pytest

import tinynet as tn
from tinynet.arrays.optional import optional_import


@pytest.mark.parametrize(
    ("extra", "needed"), [("sums", r'"tinynet-from-scratch\[sums\]"'), ("", "abacus")], ids=["extra", "library"]
)
def test_the_error_says_what_to_install(extra, needed):
    with pytest.raises(ImportError, match=f"^this needs abacus: pip install {needed}$"):
        optional_import("abacus.beads", extra)


NEEDED = {
    "jinja2": lambda path: tn.report([], path),
    "pandas": lambda path: tn.data.kaggle(path),
    "PIL.Image": lambda path: tn.data.digit_image(path),
    "h5py": lambda path: tn.from_keras(path),
    "keras": lambda path: tn.to_keras(tn.mlp(2, [], 2)),
    "onnx": lambda path: tn.to_onnx(tn.mlp(2, [], 2), path),
    "safetensors": lambda path: tn.from_safetensors(path),
    "tensorboardX.event_file_writer": lambda path: tn.TensorBoard(path),
    "sklearn": lambda path: tn.Classifier(),
    "IPython.display": lambda path: tn.LivePlot(),
    "matplotlib.figure": lambda path: tn.History().plot(),
}


@pytest.mark.parametrize("name", NEEDED)
def test_every_use_of_a_missing_library_says_what_to_install(name, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"^this needs {name.partition('.')[0]}: pip install "):
        NEEDED[name](tmp_path / "file")
