"""``python -m properties.mutants``: the kill matrix from the command line."""

import sys

from properties.mutants.command import main

sys.exit(main(sys.argv[1:]))
