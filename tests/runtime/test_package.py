"""What differs between wgpu-py and a package with its interface, without a device of the other."""

from types import SimpleNamespace
from typing import Any

import pytest
import wgpu

from gpusim.runtime.drivers.package import first_line, package_of, promise_of_loss, says_lost

_OF_DAWN = (
    "Binding size for [Buffer (unlabeled)] is zero.\n"
    " - While validating entries[0] as a Buffer.\n"
    " - While calling [Device].CreateBindGroup([BindGroupDescriptor]).\n"
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("it would not\n\n  caused by: a whim\n", "caused by: a whim"),
        (_OF_DAWN, "Binding size for [Buffer (unlabeled)] is zero."),
        ("", "ValueError"),
        (" - While calling\n", "ValueError"),
    ],
)
def test_an_error_in_one_line_says_the_cause(text: str, line: str) -> None:
    assert first_line(ValueError(text)) == line


@pytest.mark.parametrize(
    ("text", "is_lost"),
    [
        ("Parent device is lost", True),
        ("Device lost", True),
        ("[Device] is lost.\n - While calling [Device].CreateBuffer", True),
        ('[Device "mine"] is lost.', True),
        ("[Buffer] is associated with [Device], and was lost", False),
        ("the data is lost", False),
    ],
)
def test_a_loss_is_told_in_each_package(text: str, is_lost: bool) -> None:
    assert says_lost(RuntimeError(text)) is is_lost


def test_a_device_that_is_not_of_another_package_is_taken_for_wgpu_py() -> None:
    package = package_of(SimpleNamespace(adapter=None))
    assert package.errors is wgpu
    assert package_of(object()) is package


class Hidden:
    """A device that hides the promise of its loss, as wgpudawn's does."""

    def _get_lost_async(self) -> str:
        return "promise"


class Unmade:
    """A device without such a promise, as wgpu-py's is."""

    def _get_lost_async(self) -> Any:
        raise NotImplementedError


def test_the_promise_of_a_loss_is_found_where_there_is_one() -> None:
    assert promise_of_loss(SimpleNamespace(lost_async="promise")) == "promise"
    assert promise_of_loss(Hidden()) == "promise"
    assert promise_of_loss(Unmade()) is None
    assert promise_of_loss(object()) is None
