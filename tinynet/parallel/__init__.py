"""Beyond one process: one training over many of them (across.py), and many trainings at once (many.py)."""
