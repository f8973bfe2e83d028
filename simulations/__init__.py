"""Long or random trials of the whole, each a command that says what it found: `python -m simulations.NAME`."""
