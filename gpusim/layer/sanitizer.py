"""The sanitizer: hands each event to the rules, and gathers what they report.

A mistake that is repeated at the same lines is one report.  Nothing here knows a rule.
"""

import atexit
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gpusim.layer.classes import Disturb, stand_between, undisturbed
from gpusim.layer.report import Report
from gpusim.layer.rules import RULES, Rule
from gpusim.layer.rules.rule import Breach, Check
from gpusim.layer.scene import KINDS, RECORDED, Scene
from gpusim.layer.watch import Watch
from gpusim.trace import Event

OnReport = Callable[[Report], None]


def print_report(report: Report) -> None:
    """Write a report to stderr, with an empty line after it."""
    print(f"gpusim sanitize: {report}\n", file=sys.stderr, flush=True)


class Sanitizer:
    """Takes the events of one or several devices from its watch, and hands them to the rules."""

    def __init__(self, on_report: OnReport = print_report, rules: Sequence[Rule] = RULES) -> None:
        self.reports: list[Report] = []
        """Everything found so far, in the order in which it was found."""
        self.times: dict[Report, int] = {}
        """How often each report was found."""
        self._on_report = on_report
        self._rules = rules
        self._watch = Watch(self, wanted=KINDS)
        self._begin_in(Scene())

    def begin(self) -> None:
        """Begin another program: forget earlier programs and their reports."""
        self._watch.tell_gone()
        self.reports, self.times = [], {}
        self._begin_in(Scene(told=self._scene.told))

    def _begin_in(self, scene: Scene) -> None:
        self._scene = scene
        self._checks: list[tuple[Rule, Check]] = [(rule, rule.check(scene)) for rule in self._rules]
        self._by_kind = {kind: self._looks_at(kind) for kind in KINDS}
        self._places: dict[tuple[object, ...], Report] = {}
        self._is_finished = False

    def watch(self, device: Any, disturb: Disturb = undisturbed) -> None:
        """Look at a device from now on; raises what ``sanitize`` raises."""
        stand_between(device, self._watch, disturb)

    def __call__(self, event: Event) -> str | None:
        """Take an event; returns the reason to refuse its call, or None."""
        kind = event.kind
        if kind in RECORDED:
            self._scene.apply(event)
        refusal = None
        for rule, look in self._by_kind.get(kind, ()):
            for breach in look(event):
                report = self._take(rule, breach)
                if rule.refuses and refusal is None:
                    refusal = f"cannot submit because {report.finding} (probably {rule.remedy})"
        if kind not in RECORDED:
            self._scene.apply(event)
        return refusal

    def finish(self) -> list[Report]:
        """Look for mistakes that show only at the end; returns every report."""
        if not self._is_finished:
            self._is_finished = True
            self._watch.tell_gone()
            for rule, check in self._checks:
                for breach in check.at_end():
                    self._take(rule, breach)
        return self.reports

    def __enter__(self) -> "Sanitizer":
        return self

    def __exit__(self, *error: object) -> None:
        self.finish()

    def _looks_at(self, kind: str) -> list[tuple[Rule, Callable[[Event], Any]]]:
        return [
            (rule, getattr(check, kind)) for rule, check in self._checks if hasattr(check, kind)
        ]

    def _take(self, rule: Rule, breach: Breach) -> Report:
        key = (rule.name, *(place.site for place in breach.places))
        known = self._places.get(key)
        if known is None:
            known = self._places[key] = rule.report(breach)
            self.reports.append(known)
            self.times[known] = 0
            self._on_report(known)
        self.times[known] += 1
        return known


def sanitize(device: Any, *, on_report: OnReport = print_report) -> Sanitizer:
    """Look at a wgpu-py device from now on, and report mistakes of the program that uses it.

    ``on_report`` is called with each report when it is found; by default reports go to stderr.
    A submit that would abort the process raises ``wgpu.GPUValidationError`` instead.  Mistakes that
    show only at the end are reported by ``finish()``, which also runs when the process ends.

    Raises:
        TypeError: ``device`` is no device.
        ValueError: ``device`` is sanitized already.
    """
    sanitizer = Sanitizer(on_report)
    sanitizer.watch(device)
    atexit.register(partial(Sanitizer.finish, sanitizer))
    return sanitizer
