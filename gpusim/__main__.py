"""``python -m gpusim``: the command line.  Only this file and ``testing`` import the judge."""

import sys

from properties.cli import main

if __name__ == "__main__":
    sys.exit(main())
