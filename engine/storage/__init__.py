"""Safe input and output: reads within bounds, and writes that are whole or not at all.

Also seals, locks, file layouts and folders of the user's own. It imports nothing of spillover but
the kernels' errors and their measure of free memory.
"""
