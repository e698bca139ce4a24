"""Numerics on arrays: no names, no tables."""
