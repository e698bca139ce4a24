"""Spatial autocorrelation before any model: Moran's I, global and local, and its plots.

It imports data, weights, storage and the ground files of engine/.
"""
