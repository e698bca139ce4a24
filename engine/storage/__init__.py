"""Files read within bounds and written whole or not at all: seals, locks, layouts, folders of the
user's own.

It imports nothing of spillover but the kernels' errors and checks of arguments.
"""
