"""Makes reports of what the recorder found in one dispatch.

It turns tokens back into invocations and sites, turns bits into values, and adds a remedy.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpusim.wgsl.checks.doubts import NAN, RANGE, WIDTH, WRAP, ZERO
from gpusim.wgsl.checks.nodes import ATOMIC, READ, WRITE, Site
from gpusim.wgsl.checks.report import Act, ShaderReport, Triple
from gpusim.wgsl.checks.shadow import GROUP_BITS, SITE_BITS, Clash

Values = Any
_SITE = (1 << SITE_BITS) - 1
_DID = {READ: "read", WRITE: "wrote", ATOMIC: "changed atomically"}
_TYPES = {"f32": np.float32, "i32": np.int32, "bool": np.uint32, "u32": np.uint32}


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What reports need to know of a shader; ``spaces``: each memory's address space, by name."""

    entry_point: str
    sizes: Triple
    sites: list[Site]
    spaces: dict[str, str]


class ReportDesk:
    """The reports of one dispatch."""

    def __init__(self, about: About, grid: Triple, call: str, order: str = "") -> None:
        self._about, self._sites, self._sizes = about, about.sites, about.sizes
        self.grid, self._call, self._order = grid, call, order
        self._found: dict[tuple[object, ...], ShaderReport] = {}

    @property
    def reports(self) -> list[ShaderReport]:
        """What was found, in the order of the text."""
        return sorted(self._found.values(), key=lambda each: (each.places, each.kind))

    def clear(self) -> None:
        """Forget what was found."""
        self._found.clear()

    def clash(self, name: str, found: Clash) -> None:
        """Report conflicting accesses as races."""
        pairs = (found.tokens & _SITE) << SITE_BITS | (found.others & _SITE)
        _, firsts, counts = np.unique(pairs, return_index=True, return_counts=True)
        for at, count in zip(firsts.tolist(), counts.tolist(), strict=True):
            mine, other = int(found.tokens[at]), int(found.others[at])
            acts = [
                self._access(mine, found.values, at),
                self._access(other, found.other_values, at),
            ]
            sites = [self._sites[token & _SITE] for token in (mine, other)]
            acts = [act for _, act in sorted(zip(sites, acts, strict=True), key=_by_place)]
            word = int(found.words[at])
            self._add(
                kind="race",
                what=f"{name}, word {word}: {_why(mine, other)}",
                acts=tuple(acts),
                remedy=self._remedy(name, mine, other, sites),
                places=tuple(sorted(site.place for site in sites)),
                count=count,
            )

    def _remedy(self, name: str, mine: int, other: int, sites: list[Site]) -> str:
        if mine >> GROUP_BITS != other >> GROUP_BITS:
            return (
                "give each workgroup words of its own, use atomics, or dispatch twice; a barrier "
                "orders one workgroup only"
            )
        if sites[0] is sites[1]:
            return "let one invocation write it, give each its own word, or use an atomic"
        if self._about.spaces.get(name) == "workgroup":
            return "call workgroupBarrier() between them, or give each invocation its own word"
        return (
            "call storageBarrier() between them (workgroupBarrier() orders workgroup memory "
            "alone), or give each invocation its own word"
        )

    def unwritten(self, site: int, words: Values, tokens: Values) -> None:
        """Report reads of workgroup memory that nobody wrote."""
        about = self._sites[site]
        self._add(
            kind="unwritten",
            what=f"{about.name}, word {int(words[0])}: read before any invocation wrote it",
            acts=(self._act(about, int(tokens[0]), "read 0, which nobody wrote"),),
            remedy="write it first, then call workgroupBarrier(); or do not read this word",
            places=(about.place,),
            count=len(words),
        )

    def outside(self, site: int, index: Values, limit: int, tokens: Values) -> None:
        """Report indices out of range."""
        about = self._sites[site]
        first = int(index[0])
        wrong = "negative" if first < 0 else f"not below {limit}"
        self._add(
            kind="bounds",
            what=f"the index {first} of {about.name} is {wrong}",
            acts=(self._act(about, int(tokens[0]), f"used the index {first}"),),
            remedy="guard the access by arrayLength() or by the size, or bind a larger buffer",
            places=(about.place,),
            count=len(index),
        )

    def missed(self, site: int, here: Values, absent: Values) -> None:
        """Report a barrier that some invocations of a workgroup missed."""
        about = self._sites[site]
        self._add(
            kind="barrier",
            what="some invocations of a workgroup come to this barrier and others do not",
            acts=(
                self._act(about, int(here[0]), "came"),
                self._act(about, int(absent[0]), "did not come"),
            ),
            remedy="move the barrier out of the branch or loop that only some invocations take",
            places=(about.place,),
            count=len(absent),
        )

    def doubted(self, site: int, operands: list[Values], result: Values, tokens: Values) -> None:
        """Report arithmetic that breaks a rule of ``doubts.py``."""
        about = self._sites[site]
        given = " and ".join(str(each[0]) for each in operands)
        what, remedy = _DOUBTS[about.how]
        self._add(
            kind="arithmetic",
            what=f"{what}: {about.name} of {given}",
            acts=(self._act(about, int(tokens[0]), f"computed {result[0]}"),),
            remedy=remedy,
            places=(about.place,),
            count=len(tokens),
        )

    def _add(self, **fields: Any) -> None:
        report = ShaderReport(
            entry_point=self._about.entry_point,
            grid=self.grid,
            call=self._call,
            order=self._order,
            **fields,
        )
        known = self._found.get(report.key)
        if known is not None:
            report = replace(known, count=known.count + report.count)
        self._found[report.key] = report

    def _access(self, token: int, values: Values, at: int) -> Act:
        site = self._sites[token & _SITE]
        shown = "" if values is None or site.how == ATOMIC else f" {_value(values[at], site)}"
        return self._act(site, token, f"{_DID[site.how]}{shown}")

    def _act(self, site: Site, token: int, did: str) -> Act:
        group, local = (token >> GROUP_BITS) - 1, (token >> SITE_BITS) & 0xFFFF
        workgroup = _unrolled(group, self.grid)
        inside = _unrolled(local, self._sizes)
        x, y, z = (
            each * size + at for each, size, at in zip(workgroup, self._sizes, inside, strict=True)
        )
        return Act(
            line=site.place.line,
            column=site.place.column,
            did=did,
            invocation=(x, y, z),
            workgroup=workgroup,
        )


_DOUBTS = {
    ZERO: ("a division by zero, which gives the dividend or the remainder 0", "guard the divisor"),
    WIDTH: ("a shift by the width or more: only the low five bits count", "mask the amount"),
    RANGE: ("a float out of the integer type's range, which is clamped", "clamp it first"),
    NAN: ("NaN from operands that are not NaN", "guard the operands"),
    WRAP: ("an index that wrapped round", "compare before you add, subtract or multiply"),
}


def _why(mine: int, other: int) -> str:
    if mine >> GROUP_BITS != other >> GROUP_BITS:
        return "nothing orders these accesses of two workgroups"
    return "no barrier orders these accesses of two invocations"


def _by_place(pair: tuple[Site, Act]) -> Any:
    return pair[0].place


def _unrolled(number: int, sizes: Triple) -> Triple:
    x, y, _ = sizes
    return number % x, number // x % y, number // (x * y)


def _value(bits: Any, site: Site) -> str:
    kind = site.kinds[0]
    word = np.uint32(bits)
    if kind == "f16":
        return str(word.astype(np.uint16).view(np.float16))
    return str(word.view(_TYPES[kind]))
