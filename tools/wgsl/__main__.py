"""Compares the WGSL compiler with an adapter, and runs the checks of shaders without one.

python -m tools.wgsl values --adapter Vulkan
python -m tools.wgsl shipped FOLDER
python -m tools.wgsl mistakes FOLDER
python -m tools.wgsl checks
python -m tools.wgsl flows --count 3000
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tools.wgsl import checks, flows, mistakes, mutants, program_differences, shipped, values
from tools.wgsl.adapters import Adapter
from tools.wgsl.expressions import random_forms
from tools.wgsl.forms import forms


def main(words: list[str]) -> int:
    """Run one comparison.  Returns 1 if something differs."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.wgsl",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=[*_COMPARISONS, "mistakes", "checks", "flows"])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="of shaders")
    parser.add_argument("--adapter", default="Vulkan", help="Vulkan or OpenGL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100, help="of programs, mutants or flows")
    parser.add_argument("--only", default="", help="a part of the names of the forms")
    chosen = parser.parse_args(words)
    if chosen.what in _OF_FOLDERS and not any(chosen.folder.rglob("*.wgsl")):
        parser.error(
            f"cannot find shaders because no file in {chosen.folder} ends in .wgsl "
            "(probably FOLDER is missing)"
        )
    if chosen.what == "checks":
        print(checks.table())
        return 0
    count = 0
    alone = chosen.what == "mistakes"
    if alone:
        found = mistakes.look(chosen.folder)
    elif chosen.what == "flows":
        found = map(_told, flows.compare(chosen.count, chosen.seed))
    else:
        found = _COMPARISONS[chosen.what](Adapter(chosen.adapter), chosen)
    for told in found:
        count += 1
        print(told, flush=True)
    print(f"{count} reports" if alone else f"{count} differences")
    return min(count, 1)


def _values(adapter: Adapter, chosen: argparse.Namespace) -> Iterator[str]:
    table = [form for form in forms(adapter.has_f16) if chosen.only in form.name]
    yield from _shown(values.compare(adapter, table, chosen.seed))


def _expressions(adapter: Adapter, chosen: argparse.Namespace) -> Iterator[str]:
    made = list(random_forms(chosen.count, chosen.seed, adapter.has_f16))
    yield from _shown(values.compare(adapter, made, chosen.seed))


def _shown(differences: Iterator[values.Difference]) -> Iterator[str]:
    for found in differences:
        yield f"{found.who}: {found.form.name}: {found.lanes} lanes\n    {found.example}"


def _shipped(adapter: Adapter, chosen: argparse.Namespace) -> Iterator[str]:
    verdicts = list(shipped.judge(chosen.folder, adapter))
    print(shipped.report(verdicts, chosen.folder))
    for verdict in verdicts:
        if verdict.word in ("CRASH", "differs"):
            yield f"{verdict.word}: {verdict.file.name}"


def _programs(adapter: Adapter, chosen: argparse.Namespace) -> Iterator[str]:
    known: Counter[tuple[str, ...]] = Counter()
    for found in program_differences.compare(adapter, chosen.count, chosen.seed, known):
        yield f"{found.text}\n// {found.because}\n"
    for causes, count in known.most_common():
        print(f"{count} shaders differ by {' and '.join(causes)}, which is known")


def _mutants(adapter: Adapter, chosen: argparse.Namespace) -> Iterator[str]:
    texts = [
        file.read_text("utf-8", errors="replace") for file in sorted(chosen.folder.rglob("*.wgsl"))
    ]
    for found in mutants.compare(adapter, texts, chosen.count, chosen.seed):
        yield _told(found)


def _told(found: mutants.Disagreement) -> str:
    return f"{found.text}\n// compiler: {found.compiler}\n// adapter: {found.adapter}\n"


_COMPARISONS = {
    "values": _values,
    "expressions": _expressions,
    "shipped": _shipped,
    "programs": _programs,
    "mutants": _mutants,
}
_OF_FOLDERS = ("shipped", "mutants")
"""Comparisons of the shaders of a folder."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
