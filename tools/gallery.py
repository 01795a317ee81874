"""Writes docs/gallery: one mutant of each family, found, made small and explained on a page.

    python -m tools.gallery

The mutants of the reference have no page: there the runtime is right and the judge is wrong, so
that there is nothing to explain.  Nothing here finds or explains anything itself.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN
from properties.explain.argument import Argument
from properties.explain.explain import explain
from properties.explain.page import page
from properties.mutants.hunt import Budget, Programs, hunt
from properties.mutants.mistakes import find
from properties.mutants.mutant import Mutant
from properties.mutants.oracles import CALLERS, LAWS, factory_of, oracles_for, with_caller
from properties.oracles.judge import MEANING_ONLY, SOUND, judge

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "docs" / "gallery"
SHOWN = {
    "batches": "write_overtakes_batch",
    "buffers": "edges_from_shadow_copy",
    "caches": "bind_group_key_lacks_uniform",
    "calls": "array_taken_later",
    "costs": "page_for_each_read",
    "data": "written_as_floats",
    "devices": "reuse_keeps_old_bytes",
    "failing": "empty_ring_written",
    "harmless": "page_mapped_whole",
    "likenesses": "whole_copy_waits",
    "places": "part_touches_its_start",
    "readbacks": "large_staging_shared",
    "recorder": "free_before_flush",
    "replays": "kept_scalars_of_replay_before",
    "telling": "refusal_names_newest",
    "thresholds": "bind_group_key_packed",
    "together": "pipeline_keyed_by_name",
    "uniforms": "cached_uniform_rewritten",
}
"""The mutant that stands for each family."""
UNSHOWN = ("reference", "runs")
"""Families without a page: the runtime is sound there, or random programs meet them too seldom."""
_BUDGET = Budget(programs=2000, seconds=60.0, shrink_seconds=300.0)
"""Much more time than it takes, so that no page depends on the machine."""
_SEED = 1
_HEAD = """# A gallery of mistakes

One mutant of each family of [mutants.md](../mutants.md), found by random programs, made small,
and explained as `gpusim explain` does. Each page is a file of its own, to be opened in a browser.
`python -m tools.gallery` writes them all.

| family | mutant | what is wrong | what the argument says |
|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A family's page, and its row in the page that lists them."""

    family: str
    page: str
    row: str


def main() -> None:
    """Write every page, and the page that lists them."""
    warnings.simplefilter("ignore", ResourceWarning)
    GALLERY.mkdir(exist_ok=True)
    rows = []
    for each in pages(SHOWN):
        (GALLERY / f"{each.family}.html").write_text(each.page, encoding="utf-8")
        rows.append(each.row)
        print(each.row, end="", flush=True)
    (GALLERY / "README.md").write_text(_HEAD + "".join(rows), encoding="utf-8")


def pages(families: Iterable[str]) -> Iterator[Shown]:
    """The pages of some families, made anew; they follow from the sources alone."""
    made = Programs(SIMULATED)
    for family in families:
        name = SHOWN[family]
        mutant = find(name)
        argument = _argument(mutant, made)
        said = argument.sentence.replace("|", "\\|")
        yield Shown(
            family=family,
            page=page(argument, f"gpusim mutants --only {name}"),
            row=f"| [{family}]({family}.html) | {name} | {mutant.description} | {said} |\n",
        )


def _argument(mutant: Mutant, made: Programs) -> Argument:
    oracle = oracles_for(mutant)[0]
    found = hunt(mutant, oracle, _SEED, _BUDGET, made)
    assert found.case is not None, f"{mutant.name} was not found"
    case = with_caller(found.case) if oracle is CALLERS else found.case
    factory = factory_of(mutant, SIMULATED, BUILTIN)
    oracles = SOUND if oracle is LAWS else MEANING_ONLY
    return explain(judge(case, factory, oracles), lambda each: judge(each, factory, oracles))


if __name__ == "__main__":
    main()
