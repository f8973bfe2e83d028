"""The command `sentiment`."""
