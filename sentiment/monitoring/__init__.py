"""Watches new tweets day by day: volume, drift, estimated and corrected accuracy; and the data profile."""
