"""Kernels: faster versions of functions in `functions.py`, which defines what they compute. One module per backend."""

PIXELS = (-4, -2, -1)
"""The axes of pictures over which a channel is normalized."""
