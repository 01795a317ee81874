"""``python -m gpusim``: the command line; the one file here that may import the judge."""

import sys

from properties.cli import main

if __name__ == "__main__":
    sys.exit(main())
