"""A page of tables and pictures as HTML, CSV, LaTeX and PNG; it knows no statistics.

It imports storage and the ground files.
"""
