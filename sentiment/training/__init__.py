"""Trains a model on growing subsets."""
