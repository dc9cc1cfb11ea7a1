"""`python -m hakari`: the same command where no script is installed."""

import sys

from hakari.cli.root import main

sys.exit(main())
