"""Looks after a home: backup, retention, checks, erasure."""
