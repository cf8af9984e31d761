"""Training: loop.py is the loop itself, evaluation.py judges what it made; the rest is what `fit` takes and shows."""
