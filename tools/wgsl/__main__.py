"""Compares the WGSL compiler with an adapter.

python -m tools.wgsl values --adapter Vulkan
python -m tools.wgsl shipped FOLDER
"""

import argparse
import sys
from pathlib import Path

from tools.wgsl import shipped, values
from tools.wgsl.adapters import Adapter


def main(words: list[str]) -> int:
    """Run one comparison; 1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.wgsl", description=__doc__)
    parser.add_argument("what", choices=["values", "shipped"])
    parser.add_argument("folder", nargs="?", type=Path, help="of shaders, for shipped")
    parser.add_argument("--adapter", default="Vulkan", help="Vulkan or OpenGL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a part of the names of what is compared")
    chosen = parser.parse_args(words)
    adapter = Adapter(chosen.adapter)
    if chosen.what == "shipped":
        verdicts = list(shipped.judge(chosen.folder, adapter))
        print(shipped.report(verdicts, chosen.folder))
        return int(any(verdict.word in ("CRASH", "differs") for verdict in verdicts))
    count = 0
    for found in values.compare(adapter, chosen.seed, chosen.only):
        count += 1
        print(f"{found.who}: {found.form.name}: {found.lanes} lanes\n    {found.example}")
    print(f"{len(values.forms(adapter.has_f16))} forms, {count} differences")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
