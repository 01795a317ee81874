"""Objects by name out of a module or a .py file: kernels of one's own, other targets."""

import importlib
import shlex
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN, Kernel, Kernels
from properties.session.process_subject import ProcessSubject
from properties.session.settings import COMMAND, PAGE, TARGETS

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


def load_target(name: str) -> Any:
    """What makes the subject of that name: one of ``TARGETS``, or any by its place."""
    if name.startswith(COMMAND):
        return partial(ProcessSubject, command=name.removeprefix(COMMAND))
    if name.startswith(PAGE):
        words = [sys.executable, "-m", "properties.targets.browser", name.removeprefix(PAGE)]
        return partial(ProcessSubject, command=shlex.join(words))
    return load(TARGETS.get(name, name))


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
