"""The outside world: tables, samplers, results, files."""
