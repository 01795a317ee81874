"""A target is asked for nothing that it does not promise, however a program was changed."""

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from properties.generate.fitting import is_within_capabilities
from properties.model.capabilities import CONTRACT, Capabilities, capabilities_of

ALL = CONTRACT
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


def test_the_limits_of_the_target_count() -> None:
    program = Program.parse("alloc a 1024")
    assert is_within_capabilities(program, VALID_ONLY, BUILTIN, Limits())
    assert not is_within_capabilities(program, VALID_ONLY, BUILTIN, Limits(max_buffer_bytes=512))
