"""Kernels: faster versions of functions in `functions.py`, which defines what they compute. One module per backend."""
