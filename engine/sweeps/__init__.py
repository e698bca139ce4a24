"""Many models at once: the plan of a sweep, its chunks, its store, its results and pictures.

It imports specification and every room before it.
"""
