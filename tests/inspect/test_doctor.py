"""doctor.py: what it says of this installation."""

import subprocess
import sys
import time

import pytest

import tinynet as tn
from tinynet.inspect import doctor


def test_it_runs_in_a_few_seconds_and_names_every_backend():
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "tinynet.inspect.doctor"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 30
    for name in tn.backends():
        assert f"\n{name:<10} " in done.stdout
    assert "digits a second" in done.stdout
    assert done.stderr == ""


def test_a_backend_that_does_not_work_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for name in [name for name in sys.modules if name.startswith("tinynet.kernels.cupy")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(doctor, "speed", lambda name, seconds: 1)
    (line,) = (line for line in doctor.backend_lines() if line.startswith("cupy"))
    assert "CuPy is not installed; install the extra" in line


@pytest.mark.parametrize("name", ["numpy", "no-such-package"])
def test_versions_are_those_of_the_packages(name):
    assert (doctor.version(name) == "not installed") == (name != "numpy")


def test_a_forced_blas_is_pointed_out(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert any("OPENBLAS_CORETYPE=Haswell is set" in line for line in doctor.blas_lines())
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    assert not any("CORETYPE" in line for line in doctor.blas_lines())


def test_without_threadpoolctl_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert doctor.blas_lines() == ["BLAS       unknown: threadpoolctl is not installed"]
