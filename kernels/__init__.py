"""Numerical routines on arrays: weights, log-determinants, quadrature, sufficient statistics.

Knows neither labels nor tables nor models, and imports only JAX, NumPy, SciPy and METIS.
"""
