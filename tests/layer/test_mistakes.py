"""The sanitizer finds each mistake in a small program, and is silent on the mended one."""

from importlib import import_module
from typing import Any

import pytest

from gpusim.devices import open_device
from gpusim.layer import RULES, Report, Sanitizer

FINDS = {
    "overtaking_write": "overtaking-write",
    "destroyed_buffer": "wrong-submit",
    "mapped_buffer": "wrong-submit",
    "used_commands": "wrong-submit",
    "foreign_commands": "wrong-submit",
    "destroyed_device": "destroyed-device",
    "aliased_bindings": "aliased-bindings",
    "lost_batch": "lost-batch",
    "kept_view": "kept-view",
    "written_while_mapped": "written-while-mapped",
    "growing_buffers": "growing-buffers",
    "endless_writes": "endless-writes",
}
"""The rule that finds the mistake of each program."""


def reports_of(name: str, device_name: str, mended: bool) -> list[Report]:
    device: Any = open_device(device_name)
    with Sanitizer(on_report=lambda report: None) as sanitizer:
        sanitizer.watch(device)
        kept = import_module(f"tests.layer.mistakes.{name}").program(device, mended)
    del kept
    return sanitizer.reports


@pytest.mark.parametrize("name", FINDS)
def test_a_mistake_is_found_with_its_call_sites(name: str, device_name: str) -> None:
    reports = reports_of(name, device_name, mended=False)
    found = [report for report in reports if report.rule == FINDS[name]]
    assert len(found) == 1, reports
    sites = [place.site for place in found[0].places]
    assert len(sites) >= 2
    assert all("tests/layer/mistakes/" in site for site in sites), found[0]


@pytest.mark.parametrize("name", FINDS)
def test_the_mended_program_is_silent(name: str, device_name: str) -> None:
    assert reports_of(name, device_name, mended=True) == []


def test_every_rule_has_a_program() -> None:
    assert {rule.name for rule in RULES} == set(FINDS.values())
