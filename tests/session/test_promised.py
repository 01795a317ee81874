"""A target is asked for nothing that it does not promise, however a program was changed."""

from dataclasses import replace

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from properties.generate.cases import ALL_PROMISED, CaseSettings, case_for
from properties.generate.fitting import is_within_capabilities
from properties.model.capabilities import CONTRACT, Capabilities, capabilities_of
from properties.targets.factory import RuntimeFactory

ALL = replace(CONTRACT, indirect=True)
VALID_ONLY = capabilities_of(refuses=False)
WORDS_ONLY = capabilities_of(refuses=False, byte_exact=False)


@pytest.mark.parametrize(
    ("text", "promised_by"),
    [
        ("alloc a 8\nread a 4 4 -> r", (ALL, VALID_ONLY, WORDS_ONLY)),
        ("alloc a 8\nread a 5 3 -> r", (ALL, VALID_ONLY)),
        ("alloc a 8\ncopy a 0 a 4 4", (ALL, VALID_ONLY)),
        ("alloc a 8\nread a 8 4 -> r", (ALL,)),
        ("alloc a 8\nfree a\nfree a", (ALL,)),
        ("alloc a 8\ndispatch fold a,a 1 1x1x1", (ALL,)),
    ],
)
def test_what_is_promised(text: str, promised_by: tuple[Capabilities, ...]) -> None:
    program = Program.parse(text)
    for capabilities in (ALL, VALID_ONLY, WORDS_ONLY):
        promised = is_within_capabilities(program, capabilities, BUILTIN, Limits())
        assert promised is (capabilities in promised_by)


@pytest.mark.parametrize(
    ("counts", "small"),
    [
        ("010000000200000003000000", True),
        ("ffffffff0200000003000000", True),
        ("000000000002000003000000", True),
        ("060000000200000003000000", False),
        ("000100000001000000010000", False),
    ],
)
def test_no_large_grid_is_read_from_a_buffer(counts: str, small: bool) -> None:
    text = f"alloc a 64\nalloc c 12\nwrite c 0 {counts}\ndispatch_indirect affine a 1,1 c 0"
    limits = Limits(max_groups_per_dimension=5 if counts[1] == "6" else 65_535)
    assert is_within_capabilities(Program.parse(text), ALL, BUILTIN, limits) is small


@pytest.mark.parametrize(
    "text",
    [
        "alloc a 8\nalloc b 8\ncapture g copy a 0 b 9 0\nreplay g * -",
        "alloc a 8\nalloc b 8\ncapture g copy a 0 b 0 -1\nreplay g * b=a",
        "alloc a 8\nalloc b 8\ncapture g copy a 0 a 4 4\nreplay g * b=a",
    ],
)
def test_what_is_captured_on_purpose_may_be_asked_for(text: str) -> None:
    replaying = replace(ALL, replays=True)
    assert is_within_capabilities(Program.parse(text), replaying, BUILTIN, Limits())


def test_a_program_as_it_is_drawn_asks_for_what_is_promised_and_no_more() -> None:
    factory = RuntimeFactory("simulated")
    setting = CaseSettings(
        device="simulated",
        limits=factory.limits,
        small=factory.small,
        promises=factory.capabilities,
    )
    for number in range(60):
        case = case_for(0, number, setting)
        limits = case.limits(factory.limits)
        assert is_within_capabilities(case.program, factory.capabilities, BUILTIN, limits)


def test_the_limits_of_the_target_count() -> None:
    program = Program.parse("alloc a 1024")
    assert is_within_capabilities(program, VALID_ONLY, BUILTIN, Limits())
    assert not is_within_capabilities(program, VALID_ONLY, BUILTIN, Limits(max_buffer_bytes=512))


def test_what_is_drawn_for_the_whole_contract_fits_it() -> None:
    """Or a case that failed would not be run again when it is made small."""
    limits = Limits(max_binding_bytes=288, max_groups_per_dimension=7)
    setting = CaseSettings(device="simulated", limits=limits)
    for number in range(300):
        case = case_for(29, number, setting)
        held = case.limits(limits)
        assert is_within_capabilities(case.program, ALL_PROMISED, BUILTIN, held), str(case.program)
