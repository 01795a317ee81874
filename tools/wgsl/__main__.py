"""``python -m tools.wgsl``: compares the WGSL compiler with an adapter.

    python -m tools.wgsl values --adapter Vulkan
"""

import argparse
import sys

from tools.wgsl import values
from tools.wgsl.adapters import Adapter


def main(words: list[str]) -> int:
    """Run one comparison; 1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.wgsl", description=__doc__)
    parser.add_argument("what", choices=["values"])
    parser.add_argument("--adapter", default="Vulkan", help="Vulkan or OpenGL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a part of the names of what is compared")
    chosen = parser.parse_args(words)
    adapter = Adapter(chosen.adapter)
    count = 0
    for found in values.compare(adapter, chosen.seed, chosen.only):
        count += 1
        print(f"{found.who}: {found.form.name}: {found.lanes} lanes\n    {found.example}")
    print(f"{len(values.forms(adapter.has_f16))} forms, {count} differences")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
