"""The command line: what each command reads, runs, writes and prints; and `spillover.study`.

It imports config and every room before it. No room imports it, only the facade and __main__ do.
"""
