"""`python -m hakari`: the same command where no script is installed."""

from hakari.cli.root import main

main()
