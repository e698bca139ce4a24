"""Numerical routines on arrays: weights, log-determinants, quadrature, sufficient statistics.

This layer knows nothing of labels, tables or models. It imports JAX, NumPy, SciPy and METIS only,
and CHOLMOD where that is installed.
"""
