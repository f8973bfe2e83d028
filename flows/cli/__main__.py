"""`python -m flows.cli`, which the processes of `sentiment up` start."""

from flows.cli.app import main

main()
