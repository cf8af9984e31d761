"""Several processes: one training on many ranks (data_parallel.py), many trainings at once (train_many.py)."""
