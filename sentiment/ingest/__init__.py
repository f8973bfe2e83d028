"""A file becomes rows: readers, text rules, identity, merge."""
