"""Spatial models as pure functions on arrays: likelihoods, priors, posteriors, impacts, tests."""
