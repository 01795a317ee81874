"""A target's promises: the ops that programs may use, and what each must do.

The judge asks for no more than is promised, so a runtime is judged by its own claims only.  Each
promise is independent of the others.  ``properties.generate.fitting`` fits programs to them.
``properties.oracles.compare`` looks at them only if a promise changes what counts as right.  Data
only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from enum import Enum
from typing import Any

from gpusim.errors import ProgramError
from gpusim.limits import WORD_BYTES


class Refusal(Enum):
    """A target's promise about ops that the contract refuses."""

    NOT_ASKED = "not_asked"
    """No promise: programs have no such ops."""
    CONTAINED = "contained"
    """The op may raise anything or nothing, but it must not change what other ops show."""
    NEXT_SYNC = "next_sync"
    """Contained; and if the op raises nothing, the next sync raises some error."""
    EXACT = "exact"
    """The op raises, at the call, the class of error that the contract names; nothing changes."""

    @property
    def is_asked(self) -> bool:
        """Whether programs may have such ops."""
        return self is not Refusal.NOT_ASKED


class Arrival(Enum):
    """A target's promise about when and where a read arrives."""

    SYNC = "sync"
    """Once the next sync has returned; nobody asks for the read before that."""
    TICKET = "ticket"
    """Once the next sync has returned, or once somebody asks for the read and waits."""
    ARRAY = "array"
    """In a host array that the caller names, once the next sync has returned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """A target's promises; the judge asks for no more.

    The defaults are WebGPU's own rules: whole words, copies between two buffers, and nothing
    invalid.  Sizes and offsets in bytes are multiples of what is promised here.
    """

    buffer_size_bytes: int = WORD_BYTES
    write_offset_bytes: int = WORD_BYTES
    write_size_bytes: int = WORD_BYTES
    read_offset_bytes: int = WORD_BYTES
    read_size_bytes: int = WORD_BYTES
    copy_offset_bytes: int = WORD_BYTES
    copy_size_bytes: int = WORD_BYTES
    empty_ops: bool = False
    """Buffers, writes, reads and copies of no bytes."""
    copies_within: bool = False
    """Copies within one buffer, where the two ranges share no byte."""
    overlapping_copies: bool = False
    """Copies within one buffer, where the two ranges share bytes."""
    invalid_handle: Refusal = Refusal.NOT_ASKED
    out_of_range: Refusal = Refusal.NOT_ASKED
    invalid_binding: Refusal = Refusal.NOT_ASKED
    invalid_scalar: Refusal = Refusal.NOT_ASKED
    limit_exceeded: Refusal = Refusal.NOT_ASKED
    out_of_memory: Refusal = Refusal.NOT_ASKED
    kernels: tuple[str, ...] = ()
    """The names of the kernels that the target can run; empty means all."""
    grid_dimensions: int = 3
    """How many dimensions of a grid may be more than 1."""
    spreads_grids: bool = False
    """A grid past the device's limit of a dimension is spread over more dimensions."""
    orders_deliveries: bool = True
    """The target calls done callbacks, and calls them in the order of the reads."""
    delivery: Arrival = Arrival.SYNC
    """When and where a read arrives; with ``ARRAY`` the target is an ``ArrayAdapter``."""
    host_arrays: bool = False
    """A write takes its data at the call, from an array that the caller overwrites afterwards."""
    releases_arrays: bool = False
    """Once a sync has ended, even with an error, no read before it touches an array any more."""
    concurrent_syncs: bool = False
    """A sync may begin while another is under way: the target is a ``ConcurrentAdapter``."""
    handles: bool = False
    """Ops get the runtime's own handles, stale ones too: the target is a ``HandleAdapter``."""
    special_floats: bool = False
    """Data and scalars may be NaN, infinite, -0 or subnormal."""
    replays: bool = False
    """The target captures and replays: it is a ``ReplayingAdapter``."""
    indirect: bool = False
    """The target is an ``IndirectAdapter``: it dispatches over grids that the GPU reads."""
    survives_failed_maps: bool = False
    """If a map fails, the reads that waited for it raise, and nothing else is lost."""
    survives_out_of_memory: bool = False
    """An op that gets no memory raises and does nothing; everything else works as usual."""
    survives_loss: bool = False
    """Once its device is lost, ops may raise and reads fail; the next program has a new device."""
    no_empty_submits: bool = False
    """No submit is empty, unless a queue write waits for a submit; the layer checks that."""
    parts: bool = False
    """The target binds parts of buffers: a dispatch may bind a ``Part`` in place of a name."""

    def __post_init__(self) -> None:
        for name, unit_bytes in self._granularity.items():
            if type(unit_bytes) is not int or unit_bytes < 1:
                raise ProgramError(
                    f"cannot promise {name}={unit_bytes!r} because it is no whole number of at "
                    "least 1 (probably 1 is meant, for any number, or 4, for whole words)"
                )
        if self.grid_dimensions not in (1, 2, 3):
            raise ProgramError(
                f"cannot promise grid_dimensions={self.grid_dimensions!r} because a grid has 1, 2 "
                "or 3 (probably 1 was meant, for a runtime without y and z)"
            )
        for field in fields(self):
            _see_kind(field.name, getattr(self, field.name), type(field.default))

    @property
    def refuses(self) -> bool:
        """Whether programs may have any invalid op."""
        return any(level.is_asked for level in self.refusals)

    @property
    def is_exact(self) -> bool:
        """Whether every class of invalid op raises the contract's error."""
        return set(self.refusals) == {Refusal.EXACT}

    @property
    def is_loose(self) -> bool:
        """Whether programs may have invalid ops that need not raise the contract's error."""
        return not {Refusal.CONTAINED, Refusal.NEXT_SYNC}.isdisjoint(self.refusals)

    def refusal(self, error: str) -> Refusal:
        """The promise about an op that the contract refuses with the class called ``error``.

        It is ``EXACT`` for a class that is not in ``REFUSALS``, such as a fault of the device.
        """
        level: Refusal = getattr(self, REFUSALS.get(error, ""), Refusal.EXACT)
        return level

    def contained(self, error: str) -> "Capabilities":
        """The same promises, but ops that the contract refuses with ``error`` are ``CONTAINED``."""
        changed: Any = {REFUSALS[error]: Refusal.CONTAINED}
        return replace(self, **changed)

    def without_late(self) -> "Capabilities":
        """The same promises, but ops that the next sync reports are ``NOT_ASKED``."""
        is_late = {name: getattr(self, name) is Refusal.NEXT_SYNC for name in REFUSALS.values()}
        changed: Any = {name: Refusal.NOT_ASKED for name, late in is_late.items() if late}
        return replace(self, **changed)

    @property
    def _granularity(self) -> dict[str, int]:
        names = [field.name for field in fields(self) if field.name.endswith("_bytes")]
        return {name: getattr(self, name) for name in names}

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The promise about each class of invalid op."""
        return tuple(getattr(self, name) for name in REFUSALS.values())

    def __str__(self) -> str:
        """The name of a base, then the promises that differ from it.

        The base is the one of ``webgpu`` and ``contract`` with which the text is shorter.
        """
        return min((self._beside(name, base) for name, base in _BASES.items()), key=len)

    def _beside(self, name: str, base: "Capabilities") -> str:
        pairs = [(each.name, getattr(self, each.name)) for each in fields(self)]
        words = [f"{key}={_word(value)}" for key, value in pairs if value != getattr(base, key)]
        return " ".join([name, *words])


def _see_kind(name: str, value: Any, kind: type) -> None:
    """Raise ProgramError if a promise has a value of another kind, such as its word on the wire."""
    if issubclass(kind, Enum) and not isinstance(value, kind):
        near = [each for each in kind if each.value == str(value).lower()] or [*kind]
        because = f"it is no {kind.__name__}"
        probably = " or ".join(map(str, near))
    elif kind is bool and type(value) is not bool:
        because, probably = "it is neither True nor False", str(bool(value))
    elif kind is tuple and not _is_names(value):
        names = value if isinstance(value, list) else [value]
        because, probably = "it is no tuple of names of kernels", str(tuple(names))
    else:
        return
    raise ProgramError(
        f"cannot promise {name}={value!r:.60} because {because} (probably {probably} is meant)"
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


REFUSALS = {
    "InvalidHandle": "invalid_handle",
    "OutOfRange": "out_of_range",
    "InvalidBinding": "invalid_binding",
    "InvalidScalar": "invalid_scalar",
    "LimitExceeded": "limit_exceeded",
    "OutOfMemory": "out_of_memory",
}
"""For each class of error by which the contract refuses ops, the promise about such ops."""
_ANY_BYTES: Mapping[str, Any] = {
    **{f.name: 1 for f in fields(Capabilities) if f.name.endswith("_bytes")},
    "empty_ops": True,
    "copies_within": True,
    "overlapping_copies": True,
}
_EXACT: Mapping[str, Any] = dict.fromkeys(REFUSALS.values(), Refusal.EXACT)
WEBGPU = Capabilities()
"""WebGPU's own rules, and nothing more."""
CONTRACT = Capabilities(**_ANY_BYTES, **_EXACT, spreads_grids=True)
"""Everything in the contract except graphs, grids on the GPU and parts of buffers."""


_BASES = {"webgpu": WEBGPU, "contract": CONTRACT}


def capabilities_of(
    *, refuses: bool = True, byte_exact: bool = True, **others: Any
) -> Capabilities:
    """The promises as version 1 of findings and of the wire states them.

    There ``refuses`` and ``byte_exact`` each stand for a group of promises.  ``others`` are single
    promises, by name.
    """
    promised = {**(_ANY_BYTES if byte_exact else {}), **(_EXACT if refuses else {})}
    return Capabilities(**{**promised, "spreads_grids": True, **others})


def parse_capabilities(text: str) -> Capabilities:
    """Read what ``str(Capabilities)`` wrote; ProgramError if a word is unknown.

    ``webgpu`` or ``contract`` is the base from which the other words differ; without a base the
    words are those of version 1.
    """
    base, *words = text.split()
    if base not in _BASES:
        words = [base, *words]
    values = {name: _parsed(name, value) for name, _, value in (w.partition("=") for w in words)}
    if base not in _BASES:
        return capabilities_of(**values)
    return replace(_BASES[base], **values)


def write_promises(capabilities: Capabilities) -> dict[str, Any]:
    """The promises that differ from the defaults, by name, in the types of JSON."""
    given = {field.name: getattr(capabilities, field.name) for field in fields(Capabilities)}
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in given.items()
        if value != _DEFAULTS[name]
    }


def read_promises(written: object) -> Capabilities:
    """Read what ``write_promises`` wrote, before or after it went through JSON.

    Raises:
        ProgramError: names the promise that does not exist, or has a wrong value.
    """
    if not isinstance(written, dict):
        raise ProgramError(
            f"cannot read promises {written!r:.60} because they are no object with names "
            "(probably a list)"
        )
    return Capabilities(**{name: _promise(name, value) for name, value in written.items()})


def _promise(name: str, value: Any) -> Any:
    kind: Any = type(_DEFAULTS.get(name))
    if issubclass(kind, Enum) and value in _words(kind):
        return kind(value)
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(map(str, value))
    if kind in (bool, int) and type(value) is kind:
        return value
    raise _no_promise(name, value)


def _no_promise(name: str, value: object) -> ProgramError:
    if name not in _DEFAULTS:
        near = get_close_matches(name, _DEFAULTS, n=1) or sorted(_DEFAULTS)
        return ProgramError(
            f"cannot read promise {name!r} because none has that name "
            f"(probably {', '.join(near)} was meant)"
        )
    kind = type(_DEFAULTS[name])
    wanted = ", ".join(_words(kind)) if issubclass(kind, Enum) else _WANTED[kind]
    return ProgramError(
        f"cannot read promise {name}={value!r:.40} because its value must be {wanted} "
        "(probably a misspelling)"
    )


_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in fields(Capabilities)}
_WANTED = {bool: "yes or no (true or false)", int: "a whole number", tuple: "names of kernels"}
_VERSION_1 = {"refuses", "byte_exact"}


def _parsed(name: str, text: str) -> Any:
    kind: Any = bool if name in _VERSION_1 else type(_DEFAULTS.get(name))
    if kind is bool and text in ("yes", "no"):
        return text == "yes"
    if kind is int and text.isdecimal() and len(text) < 10:
        return int(text)
    if kind is tuple and text:
        return tuple(text.split(","))
    if issubclass(kind, Enum) and text in _words(kind):
        return kind(text)
    raise _no_promise(name, text)


def _words(kind: type[Enum]) -> list[str]:
    return [each.value for each in kind]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    return ",".join(value) if isinstance(value, tuple) else str(value)
