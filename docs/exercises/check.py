"""Check the first exercise that is not solved yet, each time its file is saved.

python docs/exercises/check.py           check after every save, one exercise after the other; Ctrl+C ends it
python docs/exercises/check.py --once    check once
python docs/exercises/check.py --hint    show one more hint
python docs/exercises/check.py --list    show all exercises
python docs/exercises/check.py 7         exercise 7, solved or not; also with --once or --hint
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time

from checking import EXERCISES, HERE, file_of, teacher

PROGRESS = HERE / ".progress.json"
"""Hashes of the solved files, and how many hints were shown."""

SECONDS = 120.0
"""Time limit of one check."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", nargs="?", type=int, help=f"an exercise, 1 to {len(EXERCISES)}")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--once", action="store_true", help="check once")
    way.add_argument("--hint", action="store_true", help="show one more hint")
    way.add_argument("--list", action="store_true", help="show all exercises")
    asked = parser.parse_args()
    if asked.number not in (None, *range(1, len(EXERCISES) + 1)):
        parser.error(f"there is no exercise {asked.number}; there are 1 to {len(EXERCISES)}")

    name = EXERCISES[asked.number - 1] if asked.number else next_one()
    if asked.list:
        return show_all()
    if name is None:
        print(f"All {len(EXERCISES)} exercises are solved.")
        return 0
    if asked.hint:
        return hint(name)
    if asked.once:
        return not solved_now(name)
    return watch(name, advance=not asked.number)


def watch(name: str | None, advance: bool) -> int:
    """Check an exercise each time its file is saved; if `advance`, continue with the next one when it is solved."""
    try:
        while name:
            saved = saved_at(name)
            if solved_now(name):
                name = next_one() if advance else None
                continue
            print("  Waiting for the file to be saved. Ctrl+C ends; --hint, in another window, helps.", flush=True)
            while saved_at(name) in (saved, None):
                time.sleep(0.1)
    except KeyboardInterrupt:
        print()
    return 0


def saved_at(name: str) -> int | None:
    """Return the time of the last save; None while an editor replaces the file."""
    try:
        return file_of(name).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def solved_now(name: str) -> bool:
    """Check an exercise, print the result, record it, and return True if the exercise is solved."""
    print(f"\n{file_of(name)}", flush=True)
    read, solved = fingerprint(name), says_solved(name)
    progress = read_progress()
    progress["solved"][name] = read if solved else ""
    PROGRESS.write_text(json.dumps(progress, indent=1))
    print(f"  {bar()}", flush=True)
    return solved


def says_solved(name: str) -> bool:
    """Return True if `checking.say` finds no mistake. It runs in another process, which ends at the time limit."""
    command = [sys.executable, "-c", "import sys, checking; sys.exit(checking.say(sys.argv[1]))", name]
    try:
        code = subprocess.run(command, cwd=HERE, timeout=SECONDS, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"  no answer after {SECONDS:g} s: is there a loop without an end?", flush=True)
        return False
    if code not in (0, 1):
        print(f"  Python itself ended, with code {code}", flush=True)
    return code == 0


def hint(name: str) -> int:
    """Print the hints so far and the next one."""
    hints, progress = teacher(name)["HINTS"], read_progress()
    given = min(progress["hints"].get(name, 0) + 1, len(hints))
    progress["hints"][name] = given
    PROGRESS.write_text(json.dumps(progress, indent=1))
    print(f"{name}, hint {given} of {len(hints)}")
    print("\n".join(f"  {text}" for text in hints[:given]))
    return 0


def show_all() -> int:
    print(bar())
    for name in EXERCISES:
        print(f"  {'solved' if is_solved(name) else '':<8}{name}")
    return 0


def bar() -> str:
    done = sum(map(is_solved, EXERCISES))
    return f"[{'#' * done}{'.' * (len(EXERCISES) - done)}] {done} of {len(EXERCISES)} solved"


def next_one() -> str | None:
    return next((name for name in EXERCISES if not is_solved(name)), None)


def is_solved(name: str) -> bool:
    return read_progress()["solved"].get(name) == fingerprint(name)


def fingerprint(name: str) -> str:
    return hashlib.sha256(file_of(name).read_bytes()).hexdigest()


def read_progress() -> dict[str, dict]:
    """Return the recorded progress; an empty record if the file is missing or damaged."""
    try:
        progress = json.loads(PROGRESS.read_text())
        return {"solved": dict(progress["solved"]), "hints": dict(progress["hints"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"solved": {}, "hints": {}}


if __name__ == "__main__":
    sys.exit(main())
