"""TOML files become records, and nothing else.

It imports studies and every room before it.
"""
