"""Everything that depends on W alone: the record, its checks and makers, the log-determinant.

It imports storage and the ground files of engine/, and the layers below. Makers (builders, tables,
files, libpysal's objects) return a matrix and labels; only weights.py makes `Weights` of them.
"""
