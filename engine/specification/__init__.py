"""Tests on fitted models, and the choice of a model by them.

It imports estimation and every room before it.
"""
