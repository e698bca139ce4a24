"""Read TOML files into records, and check them.

It imports studies and every room before it.
"""
