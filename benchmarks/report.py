"""RESULTS.md: one section for each benchmark, with the machine and the versions that were measured."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import threadpoolctl

RESULTS = Path(__file__).with_name("RESULTS.md")
PACKAGES = ["numpy", "numba", "torch", "jax", "tensorflow-cpu", "keras", "scikit-learn", "autograd"]


def write_section(title: str, text: str) -> None:
    """Write a section into RESULTS.md, replace the one with the same title, and print it."""
    section = f"## {title}\n\n{text.strip()}\n\n{machine()}\n"
    print(section)
    old = (
        RESULTS.read_text()
        if RESULTS.exists()
        else "# Results\n\nEvery section is written by the script that it names.\n"
    )
    kept = re.sub(rf"\n## {re.escape(title)}\n.*?(?=\n## |\Z)", "", old, flags=re.DOTALL)
    RESULTS.write_text(f"{kept.rstrip()}\n\n{section}")


def machine() -> str:
    """Return one line: cores, processor, versions and BLAS."""
    installed = {name: _version(name) for name in PACKAGES}
    versions = ", ".join(f"{name} {version}" for name, version in installed.items() if version)
    blas = next(
        (
            f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', 'unnamed')} kernels)"
            for pool in threadpoolctl.threadpool_info()
            if pool["user_api"] == "blas"
        ),
        "no BLAS found",
    )
    return (
        f"*{os.cpu_count()} cores of {_processor()}, shared; Python {platform.python_version()}, {versions}, {blas}.*"
    )


def markdown(rows: list[dict[str, str]]) -> str:
    """Return a table in Markdown, with the first column aligned left and the others right."""
    table = pd.DataFrame(rows)
    alignment = ["left"] + ["right"] * (len(table.columns) - 1)
    return table.to_markdown(index=False, disable_numparse=True, colalign=alignment)


def ratio(times: list[float], others: list[float]) -> float:
    """Return the geometric mean of others / times: how many times as fast."""
    return float(np.exp(np.mean(np.log(np.array(others) / np.array(times)))))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.processor()
