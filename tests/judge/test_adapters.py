"""A promise that nobody can ask for is refused before any program runs."""

from typing import Any

import pytest

from gpusim.errors import ProgramError
from gpusim.testing import Capabilities


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ({"delivery": "ticket"}, r"it is no Arrival \(probably Arrival\.TICKET is meant\)"),
        ({"invalid_handle": "exact"}, r"it is no Refusal \(probably Refusal\.EXACT is meant\)"),
        ({"out_of_range": True}, r"no Refusal \(probably Refusal\.NOT_ASKED or Refusal\."),
        ({"handles": "yes"}, r"it is neither True nor False \(probably True is meant\)"),
        ({"kernels": "affine"}, r"no tuple of names of kernels \(probably \('affine',\) is meant"),
        ({"kernels": ["a", "b"]}, r"\(probably \('a', 'b'\) is meant\)"),
    ],
)
def test_a_promise_of_another_kind_is_refused(promise: dict[str, Any], words: str) -> None:
    (name,) = promise
    with pytest.raises(ProgramError, match=rf"^cannot promise {name}=.* because .*{words}"):
        Capabilities(**promise)
