"""Loads objects by name from a module or a .py file: users' kernels, and targets.

What is loaded is not run here.
"""

import importlib
import shlex
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
"""How the name of a target begins that is a command, or a web page."""
MakeFactory = Callable[[str, Kernels], TargetFactory]
"""Makes the factory of a target on the device of that name, with these kernels."""
TARGETS: Mapping[str, MakeFactory] = {RUNTIME: RuntimeFactory, "naive": AdapterFactory}
_LOADED: dict[Path, tuple[str, ModuleType]] = {}
"""The modules by their file, each with its source."""


def load(spec: str, default_name: str = "") -> Any:
    """The object ``MODULE_OR_FILE:NAME``; without a colon the name is ``default_name``.

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
    """Makes the factory of a target: one of ``TARGETS``, a command, a page, or a Python object.

    The object makes a target or an adapter, given an opened device and the kernels; or it
    is a TargetFactory.
    """
    if name in TARGETS:
        return TARGETS[name]
    if name.startswith(COMMAND):
        return partial(ProcessFactory, command=name.removeprefix(COMMAND))
    if name.startswith(PAGE):
        words = [sys.executable, "-m", "properties.targets.browser", name.removeprefix(PAGE)]
        return partial(ProcessFactory, command=shlex.join(words))
    made = load(name)
    kind = made.func if isinstance(made, partial) else made
    if isinstance(kind, type) and issubclass(kind, TargetFactory):
        factory: MakeFactory = made
        return factory
    return partial(AdapterFactory, make_target=made)


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
    """A module made of ``source``, and never of cached bytecode.

    Python takes cached bytecode for any source of the same length and second.
    """
    name = f"gpusim_loaded_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses look their module up in sys.modules.
    sys.modules[name] = module
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module
