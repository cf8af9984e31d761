"""Saves networks to disk and loads them."""
