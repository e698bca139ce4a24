"""A whole empirical study: its findings, and the tables, sections and pictures made from them.

It imports reporting and every room before it.
"""
