"""``python -m properties.bench``: the benchmarks without the rest of the command line."""

import sys

from properties.bench.command import main

sys.exit(main())
