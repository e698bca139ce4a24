"""A table becomes arrays: formulas, panels, sources of rows, gaps filled, composite indices,
packaged data.

It imports weights and what is above it in this order: storage, ground files, weights.
"""
