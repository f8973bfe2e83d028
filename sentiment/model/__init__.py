"""Everything that travels with a registered model, and nothing else: it is copied there as a folder."""
