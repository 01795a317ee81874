"""How many calls an operation takes, how many files it enters, and how often it changes file.

    python -m tools.calls [--root DIR] [--device NAME] [--program N] [--files]
    python -m tools.calls --functions [--device NAME]

Two operations are counted, with warm caches: the second dispatch of a runtime with the default
policy, and the judgement of one program of the corpus on the simulated device, as in a session.
Making the program and tallying it are left out.  Only calls of Python functions are counted; each
resumption of a generator is a call.  A change of file is a call in another file than the call
before.  Code without a file, such as the ``__init__`` of a dataclass, changes no file.

``--functions`` lists the functions of the dispatch instead, each with the number of bytecode
instructions that it executes itself.  This number is the same on every machine.
"""

import argparse
import gc
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from tools import corpus

_TYPICAL_PROGRAM = 94
"""The place in the corpus of a program with the default policy and a common length."""
_PARTS = {
    "shrinker": ("properties/shrink/",),
    "generator": ("properties/generate/",),
    "oracles": ("properties/oracles/",),
    "the rest": ("properties/",),
}
"""Parts of ``properties`` by what the paths of their files begin with; the first that fits."""
_GENERATED, _LIBRARY = "in no file", "standard library"
_Seen = TypeVar("_Seen")
_COLUMNS = "{:<28} {:>7} {:>6}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """The calls of one operation, in their order, by the names of their files."""

    files: tuple[str, ...]

    @property
    def real(self) -> tuple[str, ...]:
        """The calls of code that has a file."""
        return tuple(file for file in self.files if not file.startswith("<"))

    @property
    def changes(self) -> int:
        """How often a call is in another file than the one before."""
        return sum(a != b for a, b in zip(self.real, self.real[1:], strict=False))

    def within(self, root: Path) -> "Calls":
        """Only the calls in the packages of the checkout in ``root``."""
        inside = tuple(f"{root / package}/" for package in corpus.PACKAGES)
        return Calls(files=tuple(file for file in self.real if file.startswith(inside)))


def main(arguments: Sequence[str]) -> int:
    """Count both operations, and print what was counted."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.calls",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root", type=Path, default=corpus.ROOT, metavar="DIR", help="another checkout"
    )
    parser.add_argument(
        "--device", default=corpus.SIMULATED, metavar="NAME", help="of the dispatch alone"
    )
    parser.add_argument(
        "--program", type=int, default=_TYPICAL_PROGRAM, metavar="N", help="its place in the corpus"
    )
    parser.add_argument("--files", action="store_true", help="show the calls of each file as well")
    parser.add_argument(
        "--functions", action="store_true", help="only list the functions of the dispatch"
    )
    asked = parser.parse_args(arguments)
    root = asked.root.resolve()
    corpus.import_from(root)

    if asked.functions:
        _show_functions(_warm_dispatch(asked.device, instructions))
        return 0
    dispatch = count_dispatch(asked.device)
    _show(f"one warm dispatch on {asked.device}", dispatch, root, files=asked.files)
    entry = corpus.read()[asked.program]
    (judging,) = corpus.judgings([entry], corpus.SIMULATED)
    judging.judge()
    calls = count(judging.judge)
    title = f"one judged program: {entry.seed}, {judging.ops} ops, {entry.policy.split()[0]}"
    _show(title, calls, root, files=asked.files)
    _show_parts(calls.within(root), root)
    return 0


def count_dispatch(device: str) -> Calls:
    """The calls of a runtime's second dispatch on ``device``."""
    return _warm_dispatch(device, count)


def _warm_dispatch(device: str, look: Callable[[Callable[[], object]], _Seen]) -> _Seen:
    """What ``look`` sees of a runtime's second dispatch on ``device``."""
    from gpusim import Runtime, open_device
    from gpusim.kernels import AFFINE

    with Runtime(open_device(device)) as runtime:
        x = runtime.alloc(256)
        runtime.dispatch(AFFINE, [x], (3, 1))
        seen = look(partial(runtime.dispatch, AFFINE, [x], (3, 1)))
        runtime.free(x)
    return seen


def count(operation: Callable[[], object]) -> Calls:
    """The calls that ``operation`` takes, without those of the tools."""
    files: list[str] = []
    here = str(Path(__file__).resolve().parent)

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and not frame.f_code.co_filename.startswith(here):
            files.append(frame.f_code.co_filename)

    with _no_collector():
        sys.setprofile(note)
        try:
            operation()
        finally:
            sys.setprofile(None)
    return Calls(files=tuple(files))


def instructions(operation: Callable[[], object]) -> Counter[str]:
    """The bytecode instructions that each function executes itself, in the order of first calls."""
    executed: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        executed[frame.f_code.co_qualname] += event == "opcode"
        return trace

    with _no_collector():
        sys.settrace(trace)
        try:
            operation()
        finally:
            sys.settrace(None)
    return Counter({name: n for name, n in executed.items() if n and name != instructions.__name__})


@contextmanager
def _no_collector() -> Iterator[None]:
    """Turn the garbage collector off in the block: it would add calls at any time."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _show(title: str, calls: Calls, root: Path, *, files: bool) -> None:
    own = calls.within(root)
    print(f"\n{title}")
    print(f"  all code:    {_totals(calls)}")
    print(f"  the project: {_totals(own)}\n")
    packages = [_package(file, root) for file in calls.files]
    entered = Counter(_package(file, root) for file in set(calls.real))
    print(_COLUMNS.format("package", "calls", "files"))
    for name, number in Counter(packages).most_common():
        print(_COLUMNS.format(name, number, entered[name]))
    if files:
        for file, number in Counter(own.files).most_common():
            print(_COLUMNS.format(f"  {Path(file).relative_to(root)}", number, ""))


def _show_functions(executed: Counter[str]) -> None:
    print(f"{'function':<40} {'instructions':>12}")
    for name, number in executed.items():
        print(f"{name:<40} {number:>12}")
    print(f"{'all':<40} {executed.total():>12}")


def _totals(calls: Calls) -> str:
    files = len(set(calls.real))
    return f"{len(calls.files):,} calls, {files} files, {calls.changes:,} changes of file"


def _show_parts(calls: Calls, root: Path) -> None:
    names = [str(Path(file).relative_to(root)) for file in calls.files]
    parts = {name: _part(name) for name in names}
    print()
    print(_COLUMNS.format("part of properties", "calls", "files"))
    for part in _PARTS:
        inside = [name for name in names if parts[name] == part]
        print(_COLUMNS.format(part, len(inside), len(set(inside))))
    rest = sorted(name for name, part in parts.items() if part == "the rest")
    print("\n".join(f"  {name}" for name in rest))


def _part(name: str) -> str:
    fitting = (part for part, beginnings in _PARTS.items() if name.startswith(beginnings))
    return next(fitting, "")


def _package(file: str, root: Path) -> str:
    """The top-level package that a file belongs to."""
    if file.startswith("<"):
        return _GENERATED
    path = Path(file)
    for parent in (Path(sysconfig.get_path("purelib")), root):
        if path.is_relative_to(parent):
            return path.relative_to(parent).parts[0]
    return _LIBRARY


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
