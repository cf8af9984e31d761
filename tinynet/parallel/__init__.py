"""Beyond one process: one training over many of them (data_parallel.py), and many trainings at once (train_many.py)."""
