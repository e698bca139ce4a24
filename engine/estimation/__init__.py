"""The fit of one model: the problem, the model that users hold, the samplers, maximum likelihood
and the results.

It imports exploration, data, weights, storage and the ground files.
"""
