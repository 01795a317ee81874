"""The tools that measure the sources: what is a line of code, and what is a change of file."""

import pytest

from properties.fuzz.union import Step
from tools import corpus
from tools.calls import Calls, count, instructions
from tools.count import Count, count_source
from tools.fleet_speed import speed
from tools.judge_parts import PARTS

SOURCE = '''"""A module
of two docstring lines."""

import os  # a comment beside code

# a comment alone
TEXT = """one

three"""
"""Beneath a value: code."""


def function() -> None:
    """A docstring."""
    os.sync()
'''


def test_blank_lines_comments_and_docstrings_are_no_code() -> None:
    assert count_source(SOURCE) == Count(files=1, code_lines=7, docstring_lines=3)


def test_an_empty_file_holds_nothing() -> None:
    assert count_source("") == Count(files=1)


@pytest.mark.parametrize(
    ("files", "changes"),
    [("", 0), ("a", 0), ("aa", 0), ("ab", 1), ("aba", 2), ("aabba", 2)],
)
def test_a_change_of_file_is_a_call_in_another(files: str, changes: int) -> None:
    assert Calls(files=tuple(files)).changes == changes


def test_what_stands_in_no_file_is_a_call_and_no_change() -> None:
    calls = Calls(files=("a", "<string>", "a"))
    assert len(calls.files) == 3
    assert calls.changes == 0


def test_calls_of_python_are_counted_and_those_in_c_are_not() -> None:
    assert count(lambda: sorted([2, 1])).files == (__file__,)


def test_instructions_are_those_of_each_function_itself() -> None:
    def inner(number: int) -> int:
        return number + 1

    def outer() -> int:
        return inner(inner(1))

    alone, both = instructions(lambda: inner(1)), instructions(outer)
    name = inner.__qualname__
    assert 0 < alone[name] < 20
    assert both[name] == 2 * alone[name]
    assert list(both) == [outer.__qualname__, name]


def test_every_part_of_the_judge_is_where_it_was() -> None:
    beginnings = [each for part in PARTS.values() for each in part]
    ours = [each for each in beginnings if each.startswith(corpus.PACKAGES)]
    assert len(ours) > 9
    assert not [each for each in ours if not (corpus.ROOT / each).exists()]


def test_every_program_of_the_corpus_is_judged() -> None:
    judgings = corpus.judgings(corpus.read(), corpus.SIMULATED)
    for judging in judgings:
        judging.judge()
    assert len(judgings) == 150


def test_the_speed_of_a_fleet_is_that_of_all_its_places_after_their_first_blocks() -> None:
    spans = [(0, 10), (1, 12), (10, 20), (12, 22), (20, 30), (22, 26)]
    steps = [
        Step(began=began, ended=ended, programs=ended - began, cells=0, novelty=0.0)
        for began, ended in spans
    ]
    assert speed(steps, 2) == pytest.approx(2.0)
    assert speed(steps[:2] + steps[3:], 2) < 2.0
    with pytest.raises(SystemExit, match="too few blocks"):
        speed(steps[:2], 2)
