import numpy as np
from checking import Mistake

HINTS = (
    "Print one batch of x = t = np.arange(10). Does every x still have its t?",
    "One order for both: draw the permutation once.",
    "order = draw.permutation(len(x)), then rows = order[start : start + size], x[rows] and t[rows].",
)


def check(answer):
    numbers = np.arange(10)
    draw = np.random.default_rng(16)
    first, second = (list(answer.batches(numbers, 100 + numbers, 4, draw)) for _ in range(2))
    seen = np.concatenate([x for x, _ in first])
    x, t = first[0]
    if (t != 100 + x).any():
        raise Mistake(f"of x = 0 .. 9 and t = 100 + x, the first batch has x = {x.tolist()} with t = {t.tolist()}")
    if len(seen) < len(numbers) and len(set(seen)) == len(seen):
        raise Mistake(f"{len(numbers) - len(seen)} of 10 rows are never shown: the last batch, of 2 rows, is dropped")
    if sorted(seen) != sorted(numbers):
        raise Mistake(f"in one epoch the rows are {sorted(seen.tolist())}; expected each row exactly once")
    if max(len(x) for x, _ in first) > 4:
        raise Mistake("batches of more rows than size")
    if (seen == numbers).all():
        raise Mistake("nothing is shuffled: the rows keep the order of the file, which is often sorted by class")
    if (seen == np.concatenate([x for x, _ in second])).all():
        raise Mistake("every epoch has the same order; draw a new one each time")
