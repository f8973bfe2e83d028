"""Measures a model, and two against each other. Values in, values out."""
