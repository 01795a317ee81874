"""The lines between the judge and a target in another process are read back as written."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusim.errors import DataLost, InvalidHandle, ProgramError
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from properties.model.capabilities import CONTRACT, Capabilities, Refusal, capabilities_of
from properties.model.target import TargetRaised
from properties.targets.wire import (
    Answer,
    Detail,
    Failed,
    Ok,
    Raised,
    Ready,
    TargetFailed,
    Value,
    exception_of,
    parse_answer,
    parse_glued,
    parse_hello,
    parse_ready,
    ready_in,
    write_answer,
    write_hello,
    write_ready,
)

WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9]*", fullmatch=True)
MESSAGES = st.lists(WORDS, max_size=4).map(" ".join)
ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.just(Ok()),
    st.builds(Raised, WORDS, MESSAGES),
    st.builds(Value, WORDS, st.binary(max_size=9)),
    st.builds(Failed, WORDS, WORDS, MESSAGES),
)
"""Those of one line."""


@given(ANSWERS)
def test_an_answer_is_read_as_it_was_written(answer: Answer) -> None:
    assert parse_answer(write_answer(answer)) == answer


def test_a_message_of_several_lines_is_one_line() -> None:
    line = write_answer(Raised("InvalidHandle", "it was freed\n\n  (probably twice)\n"))
    assert line == "error InvalidHandle it was freed / (probably twice)"


@pytest.mark.parametrize("line", ["", "hi", "okay", "error: no adapter", "warning: ok"])
def test_what_else_is_printed_is_no_answer(line: str) -> None:
    assert parse_answer(line) is None


@pytest.mark.parametrize("line", ["value r0 zz", "value r0 0", "value r0 oops"])
def test_bytes_that_are_none_are_the_fault_of_the_target(line: str) -> None:
    with pytest.raises(TargetFailed, match="not hexadecimal"):
        parse_answer(line)


@pytest.mark.parametrize(
    ("line", "form"),
    [("ok then", "ok"), ("error", "error CLASS MESSAGE"), ("value ", "value RESULT HEX")],
)
def test_an_answer_of_another_form_is_the_fault_of_the_target(line: str, form: str) -> None:
    with pytest.raises(TargetFailed, match=f"{line!r}, which should be {form!r}"):
        parse_answer(line)


def test_a_target_says_what_it_promises_and_holds() -> None:
    ready = Ready(
        capabilities=capabilities_of(refuses=False, byte_exact=False, replays=True),
        limits=Limits(max_buffer_bytes=4096),
        description="a browser",
    )
    assert parse_ready(write_ready(ready)) == ready
    assert parse_ready("ready") == Ready(capabilities=CONTRACT)
    some = replace(Capabilities(), kernels=("affine",), out_of_range=Refusal.NEXT_SYNC)
    assert parse_ready(write_ready(replace(ready, capabilities=some))).capabilities == some
    assert parse_ready('ready {"version": 2}').capabilities == Capabilities()
    assert parse_ready('ready {"limits": {"max_storage_buffers": 4}}').limits == Limits(
        max_storage_buffers=4
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('ready {"refuse": false}', "refuse .*nothing of that name"),
        ('ready {"limits": {"max_bytes": 1}}', "max_bytes .*nothing of that name"),
        ('ready {"refuses": "no"}', 'refuses "no" .*not true or false'),
        ('ready {"version": 2, "refuses": true}', "refuses .*nothing of that name"),
        ('ready {"version": 3}', "version 3 .*not 1 or 2"),
        ('ready {"version": 2, "promises": []}', "no object with names"),
        ('ready {"version": 2, "promises": {"copy_within": true}}', "copies_within was meant"),
        ('ready {"version": 2, "promises": {"copies_within": "yes"}}', "true or false"),
        ('ready {"version": 2, "promises": {"out_of_range": "late"}}', "not_asked, contained"),
        ('ready {"version": 2, "promises": {"grid_dimensions": 4}}', "a grid has 1, 2"),
        ('ready {"version": 2, "promises": {"write_size_bytes": 0}}', "at least 1"),
        ('ready {"limits": 5}', "limits 5 .*not an object"),
        ('ready {"limits": null}', "limits null .*not an object"),
        ('ready {"limits": {"max_buffer_bytes": "1"}}', 'max_buffer_bytes "1" .*not a whole'),
        ('ready {"limits": {"max_buffer_bytes": -4}}', "max_buffer_bytes -4 .*not a whole"),
        ("ready {", "JSON object"),
        ("ready []", "JSON object"),
        ("read", "JSON object"),
    ],
)
def test_a_target_that_says_anything_else_is_told(line: str, words: str) -> None:
    with pytest.raises(ProgramError, match=words):
        parse_ready(line)


def test_the_judge_tells_every_kernel() -> None:
    line = write_hello("vulkan", BUILTIN.values())
    told = parse_hello(line)
    assert told["device"] == "vulkan"
    assert [kernel["name"] for kernel in told["kernels"]] == list(BUILTIN)
    for kernel in told["kernels"]:
        words = 4 * (len(kernel["scalars"]) + kernel["guarded"])
        assert kernel["uniform_bytes"] == words
        assert kernel["wgsl"] == BUILTIN[kernel["name"]].wgsl()
    assert "\n" not in line
    assert json.loads(line.partition(" ")[2])["version"] == 1


def test_another_version_is_not_served() -> None:
    with pytest.raises(ProgramError, match="version 2 because this target has version 1"):
        parse_hello('hello {"version": 2}')


def test_the_errors_of_the_contract_come_back_as_themselves() -> None:
    assert isinstance(exception_of(Raised("InvalidHandle", "freed")), InvalidHandle)
    assert isinstance(exception_of(Failed("r0", "DataLost", "gone")), DataLost)
    for name in ("TypeError", "ProgramError", "InternalError", "Refused_"):
        raised = exception_of(Raised(name, "no", "at x.js:3"))
        assert isinstance(raised, TargetRaised)
        assert (raised.name, str(raised), raised.traceback) == (name, "no", "at x.js:3")


def test_what_is_more_than_a_line_comes_before_it() -> None:
    text = write_answer(Raised("TypeError", "no", "at a\n\n  at b"))
    assert text == "detail at a\ndetail \ndetail   at b\nerror TypeError no"
    details, error = text.splitlines()[:-1], text.splitlines()[-1]
    assert [parse_answer(line) for line in details] == [
        Detail("at a"),
        Detail(""),
        Detail("  at b"),
    ]
    assert parse_answer(error) == Raised("TypeError", "no")


@pytest.mark.parametrize(
    ("line", "answer", "is_certain"),
    [
        ("loading...ok", Ok(), False),
        ("warning: slow value r0 00ff", Value("r0", b"\0\xff"), True),
        ("[1]failed r1 MapFailed it is gone", Failed("r1", "MapFailed", "it is gone"), True),
        ("x error InvalidHandle freed", Raised("InvalidHandle", "freed"), True),
        ("GL error Foo bar", Raised("Foo", "bar"), False),
    ],
)
def test_an_answer_is_found_behind_an_unfinished_line(
    line: str, answer: Answer, is_certain: bool
) -> None:
    glued = parse_glued(line)
    assert glued is not None
    assert (glued.answer, glued.is_certain) == (answer, is_certain)


@pytest.mark.parametrize("line", ["", "loading", "okay", "error: no adapter", "value of r0 is 1"])
def test_a_line_that_does_not_end_as_an_answer_holds_none(line: str) -> None:
    assert parse_glued(line) is None


def test_ready_is_found_behind_an_unfinished_line() -> None:
    assert ready_in('Dawn: slow path. ready {"refuses": false}') == 'ready {"refuses": false}'
    assert ready_in("device ready") is None
