"""The command line: what each command reads, runs, writes and prints.

It imports config and every room before it; nothing imports it.
"""
