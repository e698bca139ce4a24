"""One model, one answer: the problem, the model that users hold, samplers, maximum likelihood,
results.

It imports exploration, data, weights, storage and the ground files.
"""
