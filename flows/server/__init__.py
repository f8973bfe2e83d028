"""Prefect's server and the process tree of `sentiment up`."""
