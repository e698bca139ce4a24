"""Everything that depends on W alone: `Weights`, its checks and makers, and the log-determinant.

It imports storage, the ground files of engine/ and the layers below. The makers (builders, tables,
files, libpysal_objects) return a matrix and labels; weights.py and reading.py make `Weights` of
them.
"""
