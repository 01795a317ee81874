"""The sanitizer finds each mistake in a small program, and is silent on the mended one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpusim.devices import DAWN, open_device
from gpusim.layer import RULES, Report, Sanitizer
from tests.layer.mistaken_programs import (
    ABORTS,
    FINDS,
    REFUSED,
    WGPU_NATIVE,
    refused_on,
    run_program,
    run_watched,
)

ROOT = Path(__file__).resolve().parents[2]


def reports_of(name: str, device_name: str, mended: bool) -> list[Report]:
    device: Any = open_device(device_name)
    with Sanitizer(on_report=lambda report: None) as sanitizer:
        sanitizer.watch(device)
        if mended:
            kept = run_program(name, device, device_name, mended=True)
        else:
            kept = run_watched(name, device, device_name)
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


@pytest.mark.parametrize("name", REFUSED[DAWN])
def test_what_a_device_itself_refuses(name: str, device_name: str) -> None:
    words = refused_on(device_name).get(name)
    done = subprocess.run(
        [sys.executable, "-m", "tests.layer.mistaken_programs", name, device_name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if words == ABORTS:
        assert done.returncode != 0
        assert words in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert words in done.stdout if words else done.stdout == ""


def test_the_page_on_dawn_has_the_words_of_each_refusal() -> None:
    page = (ROOT / "docs" / "dawn.md").read_text(encoding="utf-8")
    said = [*REFUSED[DAWN].values(), *REFUSED[WGPU_NATIVE].values()]
    assert [words for words in said if words != ABORTS and words not in page] == []
