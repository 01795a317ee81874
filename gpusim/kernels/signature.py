"""Checks of a kernel's fields: whether its WGSL can be written and its uniforms can be packed.

Pure checks over the fields of a kernel, a binding or a scalar; ``ProgramError`` names the field.
The body is not checked here; the device refuses a wrong one.
"""

import math
from typing import Any

from gpusim.errors import ProgramError

_DTYPES = ("u32", "i32", "f32")
_OURS = ("Args", "args", "at", "count", "group", "i", "lane", "main")
"""The names that the shader around a body declares."""
_KEYWORDS = (
    *("alias", "break", "case", "const", "const_assert", "continue", "continuing", "default"),
    *("diagnostic", "discard", "else", "enable", "false", "fn", "for", "if", "let", "loop"),
    *("override", "requires", "return", "struct", "switch", "true", "var", "while"),
)
"""Source: WGSL specification, "Keyword Summary"."""


def check_name(what: str, name: object) -> None:
    """Raise unless WGSL can declare the name."""
    is_word = isinstance(name, str) and name.isidentifier() and name.strip("_") != ""
    if not is_word or str(name).startswith("__") or name in _KEYWORDS:
        raise ProgramError(
            f"cannot make {what} with name={name!r} because WGSL can declare no such name "
            "(probably a blank, a dash, or a word of the language)"
        )


def check_dtype(what: str, dtype: object) -> None:
    """Raise unless ``dtype`` is one of the three types of a word."""
    if isinstance(dtype, str) and dtype in _DTYPES:
        return
    probably = "its name in WGSL was meant, such as 'u32'"
    if isinstance(dtype, str) and "<" in dtype:
        probably = "'f32' was meant, and the body makes a vector of several elements"
    elif isinstance(dtype, str) and dtype in ("f16", "float16"):
        probably = "'f32' was meant: half floats need a feature that gpusim asks of no device"
    raise ProgramError(
        f"cannot make {what} with dtype={dtype!r} because an element is one word, 'u32', 'i32' or "
        f"'f32' (probably {probably})"
    )


def check_access(what: str, access: object, dtype: str, atomic: object) -> None:
    """Raise unless ``access`` is read or read_write; an atomic must be read_write, and no float."""
    if access not in ("read", "read_write"):
        raise ProgramError(
            f"cannot make {what} with access={access!r} because it is 'read' or 'read_write' "
            "(probably 'read_write' was meant)"
        )
    if atomic and (access == "read" or dtype == "f32"):
        raise ProgramError(
            f"cannot make {what} with atomic={atomic!r} because WGSL has atomics only of integers "
            "that may be written (probably access='read_write' was forgotten)"
        )


def check_least(what: str, least_bytes: object) -> None:
    """Raise unless ``least_bytes`` is a number of whole words."""
    if type(least_bytes) is not int or least_bytes < 4 or least_bytes % 4:
        raise ProgramError(
            f"cannot make {what} with least_bytes={least_bytes!r} because a binding has whole "
            "words of 4 bytes (probably elements were counted)"
        )


def entries_of(kernel: object, field: str, given: Any, kind: type) -> tuple[Any, ...]:
    """The bindings or scalars as a tuple; raise if one is not a ``kind``, or two share a name."""
    entries = tuple(given) if isinstance(given, list | tuple) else None
    if entries is None or not all(isinstance(entry, kind) for entry in entries):
        raise ProgramError(
            f"cannot make kernel {kernel!r} with {field}={given!r} because that is no tuple of "
            f"{kind.__name__} (probably a comma is missing: ({kind.__name__}(...),))"
        )
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ProgramError(
                f"cannot make kernel {kernel!r} because two of its {field} are called {name!r} "
                "(probably a copied line)"
            )
    return entries


def check_bindings(kernel: Any, buffers: Any, scalars: Any) -> None:
    """Raise if there is no binding, or if the shader declares the name of a binding or scalar."""
    if not buffers:
        raise ProgramError(
            f"cannot make kernel {kernel.name!r} because it binds no buffer "
            "(probably its Binding entries were forgotten)"
        )
    taken = [binding.name for binding in buffers if binding.name in _OURS]
    taken += [scalar.name for scalar in scalars if kernel.guarded and scalar.name == "groups"]
    if taken and not kernel.shader:
        raise ProgramError(
            f"cannot make kernel {kernel.name!r} because the shader around its body declares "
            f"{taken[0]!r} itself (probably another name will do)"
        )


def check_kernel(kernel: Any) -> None:
    """Check the fields of a kernel other than its bindings and scalars."""
    name = kernel.name
    if not isinstance(name, str) or not name.isidentifier():
        raise ProgramError(
            f"cannot make kernel {name!r} because a kernel's name is one word in the text form "
            "(probably a blank or a dash in it)"
        )
    size, tolerance = kernel.group_size, kernel.tolerance
    if type(size) is not int or size < 1:
        raise ProgramError(
            f"cannot make kernel {name!r} with group_size={size!r} because it is the number of "
            "lanes of a workgroup, at least 1 (probably the product of three sizes was meant)"
        )
    if tolerance is not None and not (
        isinstance(tolerance, float | int) and 0 < tolerance < math.inf
    ):
        raise ProgramError(
            f"cannot make kernel {name!r} with tolerance={tolerance!r} because a relative error is "
            "a finite number above 0 (probably None was meant, which is exact)"
        )
    for field, kind in (
        ("body", str),
        ("declarations", str),
        ("shader", str),
        ("guarded", bool),
        ("takes_grid", bool),
    ):
        if not isinstance(getattr(kernel, field), kind):
            raise ProgramError(
                f"cannot make kernel {name!r} with {field}={getattr(kernel, field)!r} because it "
                f"is a {kind.__name__} (probably two arguments were mixed up)"
            )
    if not callable(kernel.meaning):
        raise ProgramError(
            f"cannot make kernel {name!r} with meaning={kernel.meaning!r} because it is a function "
            "of arrays, scalars and groups (probably its result was passed)"
        )
