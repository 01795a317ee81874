"""The table of two ops on the same bytes, a test a row: ``-k single_buffer.wr.copy``."""

import re
from dataclasses import replace

import pytest

from gpusim.runtime import PRESETS, Driver
from properties.exhaustive import ROWS, Row, check_on, row_named
from reference import run

NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(driver: Driver, row: Row) -> None:
    for preset in PRESETS.values():
        policy = replace(preset, **row.policy)
        mismatch = check_on(driver, row.program, policy)
        assert mismatch is None, f"{policy}\n{row.program}\n{mismatch}"


def test_every_row_would_show_its_two_ops_the_other_way_round() -> None:
    silent = [row.name for row in ROWS if run(row.program) == run(row.swapped)]
    assert silent == []


def test_every_name_is_one_row() -> None:
    assert all(NAME.fullmatch(row.name) for row in ROWS)
    assert all(row_named(row.name) is row for row in ROWS)
    assert len({str(row.program) + str(row.policy) for row in ROWS}) == len(ROWS)


def test_the_table_is_the_product_of_its_sides() -> None:
    hazards = [row.name.split(".")[1] for row in ROWS if row.name.startswith("single_buffer")]
    assert {hazard: hazards.count(hazard) for hazard in ("rw", "wr", "ww")} == {
        "rw": 85,
        "wr": 85,
        "ww": 85,
    }
