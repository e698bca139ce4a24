"""A whole empirical study: its findings, and the tables, sections and pictures that are read off
them.

It imports reporting and every room before it.
"""
