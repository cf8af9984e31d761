"""Grid search: every combination of widths, learning rate and dropout, from several seeds, on any executor.

    python examples/search.py                                       12 settings, 3 seeds each     (half a minute)
    python examples/search.py --lr 0.0003 0.001 0.003 --hidden 64 128x64 --dropout 0 0.2 0.4
    python examples/search.py --hidden 12x10x8x6x4x4 --lr 0.001 --dropout 0 --seeds 200
    python examples/search.py --executor dask://host:port

Each result is written to --out once it is known. The same command resumes an interrupted search, and a larger search
trains only what is new. A table and a picture show the settings, the best first.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jobs
import numpy as np
import pandas as pd
from command_line import executor_name, executor_named, positive, status_of, stop, write
from matplotlib.figure import Figure
from pictures import png
from tqdm import tqdm

import tinynet as tn

OUT = Path("runs/search")
KEYS = ["hidden", "lr", "dropout", "epochs", "seed", "signature"]
"""What identifies a result. The signature covers the rest: digits, initial parameters, batch size and so on."""
FORMATS = ["", "g", "g", ".4f", ".4f", ".4f", ".4f", ""]
SHOWN = 20
"""Maximum number of settings in the table and in the picture."""


def main() -> int:
    """Train the combinations that have no result yet, and show the best settings."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.csv"
    types = {"hidden": str, "signature": str}
    found = pd.read_csv(file, dtype=types) if file.exists() else pd.DataFrame()
    found = found.reindex(columns=[*KEYS, "accuracy"])
    settings = itertools.product(options.hidden, options.lr, options.dropout, [options.epochs], range(options.seeds))
    data = jobs.digits_to_train_on(None, jobs.read_digits(None))
    all_jobs = {setting: job_for(*setting, options.backend, data) for setting in dict.fromkeys(settings)}
    wanted = {(*setting, jobs.short_signature(job)): job for setting, job in all_jobs.items()}
    done = set(map(tuple, found[KEYS].to_numpy().tolist()))
    missing = {job: key for key, job in wanted.items() if key not in done}
    print(f"{len(wanted)} trainings, {len(wanted) - len(missing)} of them done before", flush=True)
    try:
        found = search(missing, found, options, file)
    except KeyboardInterrupt:
        return stop(f"\nStopped. The results so far are in {file}. The same command resumes the search.", 130)
    chosen = found.merge(pd.DataFrame(list(wanted), columns=KEYS), on=KEYS)
    if chosen.empty:
        return 1
    table = summary(chosen).head(SHOWN)
    print("\nAccuracy on the 10,000 validation digits after the last epoch, over the seeds of each setting:")
    print(f"\n{table.to_markdown(index=False, floatfmt=FORMATS)}\n")
    write(options.out / "search.png", png(drawn(chosen, table)))
    print(f"All results and a picture are in {options.out}.")
    return 0 if len(chosen) == len(wanted) else 1


def search(missing: dict[tn.Job, tuple], found: pd.DataFrame, options: argparse.Namespace, file: Path) -> pd.DataFrame:
    """Train the missing jobs. Add each result to the table, and write the file, once it is known."""
    with (
        executor_named(options.executor, jobs.__file__) as executor,
        contextlib.closing(tn.train_many(missing, executor, side_by_side=options.jobs)) as outcomes,
        tqdm(total=len(missing), desc="trainings", disable=None, position=options.jobs) as bar,
    ):
        bar.set_postfix_str(jobs.COMPILES)
        for job, trained, error in outcomes:
            bar.set_postfix_str("", refresh=False)
            bar.update()
            if error:
                tqdm.write(f"{job.name}: {error}", file=sys.stderr)
                continue
            row = dict(zip(KEYS, missing[job], strict=True)) | {"accuracy": trained.history[-1].val_accuracy}
            found = pd.DataFrame([*found.to_dict("records"), row])
            write(file, found.to_csv(index=False))
    return found


def job_for(hidden: str, lr: float, dropout: float, epochs: int, seed: int, backend: str, data: Any) -> tn.Job:
    """Return one training, with dropout before every Dense except the first."""
    widths = [int(width) for width in hidden.split("x")]
    rates = [0.0, *[dropout] * len(widths)]
    network = partial(tn.mlp, 784, tuple(widths), 10, dropout=tuple(rates), seed=seed, backend=backend)
    return tn.Job(f"{hidden} {lr:g} {dropout:g} {seed}", network, partial(tn.Adam, lr=lr), data, epochs)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Return a table with one row per setting, the best mean first."""
    groups = found.groupby(["hidden", "lr", "dropout"], sort=False)["accuracy"]
    table = groups.agg(["mean", "std", "min", "max", "count"]).round(4).reset_index()
    table = table.sort_values("mean", ascending=False, kind="stable").astype(object)
    return table.where(table.notna(), "").rename(columns={"count": "seeds"})  # one seed has no spread


def drawn(found: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Draw one row per setting: a dot per seed, and a line at the mean."""
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(table)), layout="constrained", dpi=110)
    axes, draw = figure.subplots(), np.random.default_rng(0)
    settings = table[["hidden", "lr", "dropout", "mean"]].itertuples(index=False)
    for row, (hidden, lr, dropout, mean) in enumerate(settings):
        its = found[(found.hidden == hidden) & (found.lr == lr) & (found.dropout == dropout)].accuracy
        axes.plot(its, row + draw.uniform(-0.2, 0.2, len(its)), "o", ms=4, alpha=0.5, color="tab:blue")
        axes.plot([mean, mean], [row - 0.35, row + 0.35], color="tab:orange", lw=2)
    names = [f"{hidden}   lr {lr:g}   dropout {dropout:g}" for hidden, lr, dropout in table.iloc[:, :3].to_numpy()]
    axes.set_yticks(range(len(table)), names)
    axes.set(xlabel="validation accuracy: a dot a seed, orange the mean", ylim=(len(table) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "left", "right"]].set_visible(False)
    return figure


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--hidden", type=widths, nargs="+", default=["32", "64", "64x32"], metavar="AxB", help="hidden widths")
    add("--lr", type=float, nargs="+", default=[0.001, 0.003], metavar="RATE", help="learning rates of Adam")
    add("--dropout", type=float, nargs="+", default=[0.0, 0.2], metavar="RATE", help="dropout rates")
    add("--seeds", type=positive, default=3, metavar="N", help="trainings per setting, from seeds 0 to N - 1")
    add("--epochs", type=positive, default=5, metavar="N", help="epochs of each training (5)")
    add("--backend", choices=["auto", *tn.backends()], default="auto", help="backend")
    add("--jobs", type=positive, default=2, metavar="N", help="trainings at the same time on this machine (2)")
    add("--executor", type=executor_name, default="processes", metavar="WHERE", help="processes, mpi, dask://host:port")
    add("--out", type=Path, default=OUT, metavar="DIR", help=f"where everything is written ({OUT})")
    return parser.parse_args()


def widths(text: str) -> str:
    """Return the text. Raises ArgumentTypeError unless it holds widths joined by x."""
    if not all(part.isdecimal() and int(part) for part in text.split("x")):
        raise argparse.ArgumentTypeError(f"expected widths such as 64 or 128x64, got {text!r}")
    return text


if __name__ == "__main__":
    sys.exit(status_of(main))
