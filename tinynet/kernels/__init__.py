"""Faster versions of named functions, one module a backend. Safe never to open: `functions.py` is the definition."""
