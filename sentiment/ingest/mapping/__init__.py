"""Which column of a file is what, and how its labels and times are read.

Decided by names and by the values of the whole file.
"""
