"""From tables to arrays: formulas, panels, sources, gaps, composite indices, packaged data.

It imports storage, the ground files of engine/, weights and the layers below.
"""
