"""Objects by name out of a module or a .py file: kernels of one's own, other targets."""

import importlib
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN, Kernel, Kernels
from properties.model.case import RUNTIME
from properties.targets.factory import AdapterFactory, RuntimeFactory, TargetFactory
from properties.targets.process import ProcessFactory

COMMAND, PAGE = "exec:", "browser:"
"""What a target begins with that is a command, or a web page."""
MakeFactory = Callable[[str, Kernels], TargetFactory]
"""From the name of a device and the kernels to what is judged on it."""
TARGETS: Mapping[str, MakeFactory] = {RUNTIME: RuntimeFactory, "naive": AdapterFactory}
_LOADED: dict[Path, tuple[str, ModuleType]] = {}
"""The modules made of files, with their sources."""


def load(spec: str, default_name: str = "") -> Any:
    """What ``MODULE_OR_FILE:NAME`` means; without a colon the name is ``default_name``.

    Raises:
        ProgramError: nothing of that name can be loaded.
    """
    where, colon, name = spec.rpartition(":")
    if not colon:
        where, name = spec, default_name
    try:
        return getattr(_module(where), name)
    except (ImportError, OSError, SyntaxError, AttributeError, ValueError) as error:
        raise ProgramError(
            f"cannot load {name or 'a name'} from {where!r} because {error} "
            "(probably a misspelled module or path)"
        ) from error
    except Exception as error:
        raise ProgramError(
            f"cannot load {name or 'a name'} from {where!r} because of "
            f"{type(error).__name__}: {error} (probably a mistake in that file)"
        ) from error


def load_kernels(spec: str) -> Kernels:
    """The built-in kernels and, where ``spec`` names any, those of its ``KERNELS``."""
    if not spec:
        return BUILTIN
    own = load(spec, "KERNELS")
    kernels = list(own.values()) if isinstance(own, Kernels) else list(own)
    for kernel in kernels:
        if not isinstance(kernel, Kernel):
            raise ProgramError(
                f"cannot take kernels from {spec} because {kernel!r} is no Kernel "
                "(probably KERNELS is to be a list of them)"
            )
    names = {kernel.name for kernel in kernels if BUILTIN.get(kernel.name) is not kernel}
    return BUILTIN.adding(*(kernel for kernel in kernels if kernel.name in names))


def load_target(name: str) -> MakeFactory:
    """What makes the factory of that name: one of ``TARGETS``, a command, a page, or any by its
    place.

    What stands at a place makes a target or an adapter of an opened device and
    the kernels; a TargetFactory may stand there as well.
    """
    if name in TARGETS:
        return TARGETS[name]
    if name.startswith(COMMAND):
        command = name.removeprefix(COMMAND)
        _see_that_starts(command)
        return partial(ProcessFactory, command=command)
    if name.startswith(PAGE):
        _see_that_is_there(name.removeprefix(PAGE))
        words = [sys.executable, "-m", "properties.targets.browser", name.removeprefix(PAGE)]
        return partial(ProcessFactory, command=shlex.join(words))
    made = load(name)
    kind = made.func if isinstance(made, partial) else made
    if isinstance(kind, type) and issubclass(kind, TargetFactory):
        factory: MakeFactory = made
        return factory
    return partial(AdapterFactory, make_target=made)


def _see_that_starts(command: str) -> None:
    """Raise ProgramError where a command has no program that could be started."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ProgramError(
            f"cannot start target {COMMAND}{command} because of this: {error} "
            "(probably a quotation mark is missing)"
        ) from None
    if not words or shutil.which(words[0]) is None:
        raise ProgramError(
            f"cannot start target {COMMAND}{command} because there is no program "
            f"{words[0] if words else ''!r} (probably a misspelled command, or one that is not "
            "installed)"
        )


def _see_that_is_there(page: str) -> None:
    """Raise ProgramError where a page is a file that is not there."""
    path = page.partition("?")[0]
    if "://" not in page and not Path(path).is_file():
        raise ProgramError(
            f"cannot open target {PAGE}{page} because there is no file {path} (probably a "
            "misspelled path, or an address without its http://)"
        )


def is_ours(make: MakeFactory) -> bool:
    """Whether what it makes is our runtime, which follows policies, schedulers and faults."""
    kind = make.func if isinstance(make, partial) else make
    return isinstance(kind, type) and issubclass(kind, TargetFactory) and kind.is_ours


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        return importlib.import_module(where)
    path = Path(where).resolve()
    source = path.read_text(encoding="utf-8")
    loaded = _LOADED.get(path)
    if loaded is None or loaded[0] != source:
        loaded = _LOADED[path] = source, _executed(path, source)
    return loaded[1]


def _executed(path: Path, source: str) -> ModuleType:
    """A module made of ``source``, and of no bytecode that is kept.

    Kept bytecode is taken for that of any source as long and of the same second.
    """
    name = f"gpusim_loaded_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses look their module up by its name.
    sys.modules[name] = module
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module
