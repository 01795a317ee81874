"""The tests: run once to see which of them reaches which line, then only those that reach a mutant.

This runs in a process that has imported nothing of the project before.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import pytest
from hypothesis import HealthCheck, Phase, settings

from tools.mutation.mutant import ROOT, Mutant
from tools.mutation.mutants import PARTS, files_in

TESTS = (
    "clients",
    "judge",
    "laws",
    "metamorphic",
    "mutants",
    "reference",
    "runtime",
    "session/test_cases.py",
    "session/test_coverage.py",
    "session/test_variants.py",
    "session/test_faulted.py",
    "simulated/test_determinism.py",
    "simulated/test_runtime.py",
    "vocabulary/test_trace.py",
)
"""The folders of tests that test the mutated code, in the process that has the mutant."""
_COUNT_LINES = ("judge/test_cost.py",)
"""Files of tests that fail under ``coverage``: while others trace lines, the judge counts none."""
_QUICK_SECONDS = 0.05
_MOST_SECONDS = 4.0
"""A test that takes longer while it is traced line by line is left out."""
_OPTIONS = (
    "-q",
    *("-p", "no:cacheprovider"),
    *("-p", "no:benchmark"),
    # Hypothesis is imported before pytest asks for it, so that a fork has it.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Which tests reach which lines, and how long each takes."""

    seconds: dict[str, float]
    """By test."""
    reached: dict[str, dict[int, list[str]]] = field(repr=False)
    """Tests, by file and line."""

    def tests_of(self, mutant: Mutant, most_seconds: float) -> list[str]:
        """The tests that reach the mutant, as many as time allows: the quick ones first.

        Every other test runs with its quickest parameters before any runs with further ones.  A
        mutant that runs only while its file is imported may show in any test; those that reach
        the file come first.
        """
        lines = self.reached.get(mutant.path, {})
        wanted = range(mutant.first_line, mutant.last_line + 1)
        found = dict.fromkeys(name for line in wanted for name in lines.get(line, ()))
        if found:
            return self._within(found, most_seconds)
        near = dict.fromkeys(name for tests in lines.values() for name in tests)
        chosen = self._within(near, most_seconds)
        left = most_seconds - sum(self.seconds[name] for name in chosen)
        return chosen + self._within([n for n in self.seconds if n not in near], left)

    def _within(self, tests: Iterable[str], most_seconds: float) -> list[str]:
        turns: Counter[str] = Counter()
        places = {}
        for name in sorted(tests, key=lambda name: (self.seconds[name], name)):
            function = name.partition("[")[0]
            turns[function] += self.seconds[name] > _QUICK_SECONDS
            places[name] = turns[function], self.seconds[name], name
        chosen = []
        for name in sorted(places, key=lambda name: places[name]):
            most_seconds -= self.seconds[name]
            if most_seconds >= 0:
                chosen.append(name)
        return chosen

    def write(self, path: Path) -> None:
        """Keep it in a file, where a test is a number."""
        numbers = {name: number for number, name in enumerate(self.seconds)}
        reached = {
            file: {line: [numbers[name] for name in tests] for line, tests in lines.items()}
            for file, lines in self.reached.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"seconds": self.seconds, "reached": reached}))


def read_sight(path: Path) -> Sight:
    """Read what ``Sight.write`` wrote."""
    found = json.loads(path.read_text())
    names = list(found["seconds"])
    reached = {
        file: {int(line): [names[number] for number in tests] for line, tests in lines.items()}
        for file, lines in found["reached"].items()
    }
    return Sight(seconds=found["seconds"], reached=reached)


def looked_at() -> list[Path]:
    """The sources and the tests; a Sight of others names wrong lines, or lacks tests."""
    sources = [entry for entries in PARTS.values() for entry in entries]
    return files_in([*sources, *(f"tests/{name}" for name in TESTS)])


def look() -> Sight:
    """Run every test once, with every line that it reaches noted."""
    places = [ROOT / entry for entries in PARTS.values() for entry in entries]
    patterns = [f"{place}/**" if place.is_dir() else str(place) for place in places]
    measured = coverage.Coverage(data_file=None, config_file=False, include=patterns)
    noting = _Noting(measured)
    chosen = [f"tests/{name}" for name in TESTS]
    left_out = [f"--ignore=tests/{name}" for name in _COUNT_LINES]
    measured.start()
    try:
        code = pytest.main([*_OPTIONS, *left_out, *chosen], plugins=[noting])
    finally:
        measured.stop()
    if code != pytest.ExitCode.OK:
        raise RuntimeError("cannot tell mutants from sound code because a test fails on sound code")
    data = measured.get_data()
    reached: dict[str, dict[int, list[str]]] = {}
    for file in sorted(data.measured_files()):
        lines = reached[Path(file).relative_to(ROOT).as_posix()] = {}
        for line, tests in data.contexts_by_lineno(file).items():
            lines[line] = [name for name in sorted(tests) if name in noting.seconds]
    return Sight(seconds=noting.seconds, reached=reached)


def fails(tests: Sequence[str]) -> str | None:
    """The first of ``tests`` that fails, or what else went wrong."""
    if not tests:
        return None
    chosen = _Chosen(tests)
    files = dict.fromkeys(name.split("::")[0] for name in tests)
    code = pytest.main([*_OPTIONS, "-x", *files], plugins=[chosen])
    if code == pytest.ExitCode.OK:
        return None
    return chosen.failed or "the tests cannot be loaded"


class _Noting:
    """A plugin that tells ``coverage`` which test runs, and notes how long each took."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._measured.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        self.seconds[name] = round(self.seconds.get(name, 0.0) + report.duration, 4)

    def pytest_sessionfinish(self) -> None:
        self.seconds = {n: s for n, s in self.seconds.items() if s <= _MOST_SECONDS}


class _Chosen:
    """A plugin that keeps the chosen tests, in their order, and names the first that fails."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {name: place for place, name in enumerate(tests)}
        self.failed: str | None = None

    def pytest_configure(self) -> None:
        # A failing example is not made small: that it fails is enough.
        settings.register_profile(
            "mutation",
            settings.get_profile("ci"),
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        settings.load_profile("mutation")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(wanted, key=lambda item: self._order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid
