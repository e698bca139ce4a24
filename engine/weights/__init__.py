"""Everything that depends on W alone: its record and checks, builders, files, log-determinants,
channels of impacts.

It imports storage and the ground files of engine/, and the layers below.
"""
