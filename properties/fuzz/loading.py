"""Loads objects by name from a module or a .py file: users' kernels, and targets.

A module is executed when it is loaded, but the loaded objects are not called here.
"""

import hashlib
import importlib
import inspect
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import dropwhile
from pathlib import Path
from types import ModuleType
from typing import Any

from gpusim.errors import GpusimError, ProgramError, meant
from gpusim.kernels import BUILTIN, OFFERED, Kernel, Kernels
from gpusim.wgsl import ShaderError, compile_module
from properties.model.case import RUNTIME
from properties.targets.adapters import check_class
from properties.targets.factory import AdapterFactory, RuntimeFactory, TargetFactory
from properties.targets.process import ProcessFactory

_DIGITS = 12
COMMAND, PAGE = "exec:", "browser:"
"""The name of a target begins with one of these if the target is a command, or a web page."""
MakeFactory = Callable[[str, Kernels], TargetFactory]
"""Takes the name of a device, and kernels; makes the factory of a target on that device."""
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
    if not name:
        raise _cannot_load("a name", where, "none was given", f"{where or 'FILE.py'}:NAME is meant")
    module = _module(where, name)
    if not hasattr(module, name):
        public = [each for each in vars(module) if not each.startswith("_")]
        probably = meant(name, public, f"it must be defined there under the name {name}")
        raise _cannot_load(name, where, f"it has no {name!r}", probably)
    return getattr(module, name)


def load_kernels(spec: str) -> Kernels:
    """The kernels that come with gpusim and, if ``spec`` is given, those that it names.

    It names the ``KERNELS`` of a module or file, or the entry points of a file of WGSL.

    Raises:
        ProgramError: there is no list of kernels, or it is empty.
    """
    if not spec:
        return OFFERED
    own = _shader_kernels(spec) if spec.endswith(".wgsl") else load(spec, "KERNELS")
    if isinstance(own, str) or not isinstance(own, Iterable):
        raise _no_kernels(spec, f"{own!r} is no list", "KERNELS = [...] is meant")
    kernels = list(own.values()) if isinstance(own, Mapping) else list(own)
    if not kernels:
        raise _no_kernels(spec, "its list is empty", "its kernels are missing in KERNELS")
    for kernel in kernels:
        if not isinstance(kernel, Kernel):
            raise _no_kernels(spec, f"{kernel!r} is no Kernel", "KERNELS is to be a list of them")
    names = {kernel.name for kernel in kernels if OFFERED.get(kernel.name) is not kernel}
    return OFFERED.adding(*(kernel for kernel in kernels if kernel.name in names))


def digest_of_kernels(spec: str) -> str:
    """A digest of the text of the file or module that has the kernels which ``spec`` names.

    Raises:
        ProgramError: the text cannot be read.
    """
    where = spec.rpartition(":")[0] or spec
    try:
        if where.endswith((".py", ".wgsl")):
            text = Path(where).read_bytes()
        else:
            text = inspect.getsource(_module(where, "KERNELS")).encode()
    except OSError as error:
        raise _no_kernels(spec, f"it cannot be read: {error}", "another path is meant") from error
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


def _shader_kernels(spec: str) -> list[Kernel]:
    """A kernel for each entry point of a file of WGSL."""
    try:
        text = Path(spec).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_kernels(spec, f"it cannot be read: {error}", "another path is meant") from error
    try:
        names = compile_module(text).entry_points
    except ShaderError as error:
        raise _no_kernels(spec, str(error), "a misspelling") from error
    return [Kernel.from_wgsl(text, entry_point=name) for name in names]


def _no_kernels(spec: str, because: str, probably: str) -> ProgramError:
    return ProgramError(f"cannot take kernels from {spec} because {because} (probably {probably})")


def load_target(name: str) -> MakeFactory:
    """A function that makes the factory of the target called ``name``.

    The name is one of ``TARGETS``, or that of a command, a page or an object.  The object is called
    with an opened device and the kernels, and makes a target or an adapter.  It may also be a
    subclass of TargetFactory.

    Raises:
        ProgramError: nothing can be loaded from there, or the object makes no targets.
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
    _check_makes_targets(made, name)
    kind = made.func if isinstance(made, partial) else made
    if isinstance(kind, type) and issubclass(kind, TargetFactory):
        factory: MakeFactory = made
        return factory
    return partial(AdapterFactory, make_target=made)


def _see_that_starts(command: str) -> None:
    """Raise ProgramError if the program of a command cannot be found."""
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
    """Raise ProgramError if a page is a file that is not there."""
    path = page.partition("?")[0]
    if "://" not in page and not Path(path).is_file():
        raise ProgramError(
            f"cannot open target {PAGE}{page} because there is no file {path} (probably a "
            "misspelled path, or an address without its http://)"
        )


def is_ours(make: MakeFactory) -> bool:
    """Whether ``make`` makes our runtime, which follows policies, schedulers and faults."""
    kind = make.func if isinstance(make, partial) else make
    return isinstance(kind, type) and issubclass(kind, TargetFactory) and kind.is_ours


def _check_makes_targets(made: Any, spec: str) -> None:
    """Raise ProgramError if ``made`` cannot be called with a device and kernels."""
    if not callable(made):
        raise ProgramError(
            f"cannot judge {spec} because it is {made!r}, which cannot be called with a device and "
            "kernels (probably the name of an adapter's class is meant)"
        )
    check_class(made)
    try:
        inspect.signature(made).bind("device", BUILTIN)
    except TypeError as error:
        raise ProgramError(
            f"cannot judge {spec} because the judge calls it with a device and kernels, and "
            f"Python refuses that: {error} (probably it should be {made.__name__}(device, kernels))"
        ) from None
    except ValueError:
        # For some functions Python does not know the parameters.
        return


def _module(where: str, name: str) -> ModuleType:
    """The module or file ``where``; ProgramError says that ``name`` cannot be loaded from it."""
    try:
        return _loaded(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except SyntaxError as error:
        because = f"line {error.lineno} of {error.filename} is no Python: {error.msg}"
        raise _cannot_load(
            name, where, because, f"a slip in {(error.text or '').strip()!r}"
        ) from error
    except ModuleNotFoundError as error:
        raise _not_found(name, where, error) from error
    except OSError as error:
        raise _no_file(name, where, error) from error
    except Exception as error:
        raise _raised(name, where, error) from error


def _raised(name: str, where: str, error: Exception) -> ProgramError:
    """The error for a ``where`` that raised; it shows the lines from that of ``where`` on."""
    told = traceback.TracebackException.from_exception(error)
    mine = {__file__, importlib.__file__}
    kept = dropwhile(lambda each: each.filename in mine or "<frozen" in each.filename, told.stack)
    told.stack = traceback.StackSummary.from_list([*kept])
    because = f"it raised {type(error).__name__}: {error}"
    # An error of gpusim says by itself what is probably wrong.
    probably = "" if isinstance(error, GpusimError) else "a mistake in it"
    return _cannot_load(name, where, because, probably, "".join(told.format()))


def _not_found(name: str, where: str, error: ModuleNotFoundError) -> ProgramError:
    """The error for a ``where`` that is no module, or imports a missing one."""
    missing = error.name or ""
    if where != missing and not where.startswith(f"{missing}."):
        because = f"it imports {missing!r}, which is not there"
        return _cannot_load(name, where, because, f"{missing} is not installed for this Python")
    file = f"{where.replace('.', '/')}.py"
    probably = "a misspelled module, or a file without its .py"
    if Path(file).is_file():
        probably = f"{file}:{name} is meant"
    return _cannot_load(name, where, f"there is no module {missing!r}", probably)


def _no_file(name: str, where: str, error: OSError) -> ProgramError:
    """The error for a file ``where`` that cannot be read."""
    path = Path(where)
    if not path.parent.is_dir():
        return _cannot_load(name, where, f"there is no folder {path.parent}", "a misspelled path")
    if not path.exists():
        # The common ending .py would make any two short names alike.
        there = sorted(each.stem for each in path.parent.glob("*.py"))
        near = meant(path.stem, there, "")
        probably = near.replace("' is", ".py' is") or "a misspelled path"
        return _cannot_load(name, where, f"there is no file {where}", probably)
    return _cannot_load(name, where, f"{error.strerror}", "another path is meant")


def _cannot_load(
    name: str, where: str, because: str, probably: str, details: str = ""
) -> ProgramError:
    text = f"cannot load {name} from {where!r} because {because}"
    text += f" (probably {probably})" if probably else ""
    return ProgramError(f"{text}:\n{details.rstrip()}" if details else text)


def _loaded(path: Path) -> ModuleType:
    """The module in the file at ``path``; loaded again if the file has changed."""
    path = path.resolve()
    source = path.read_text(encoding="utf-8")
    loaded = _LOADED.get(path)
    if loaded is None or loaded[0] != source:
        loaded = _LOADED[path] = source, _executed(path, source)
    return loaded[1]


def _executed(path: Path, source: str) -> ModuleType:
    """A module made of ``source``, and never of cached bytecode.

    Python would run the cached bytecode of an older source if the new one has the same length and
    was saved in the same second.
    """
    name = f"gpusim_loaded_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses look their module up in sys.modules.
    sys.modules[name] = module
    # The module can import modules beside it, as if it were run as a script.
    sys.path.insert(0, str(path.parent))
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    finally:
        sys.path.remove(str(path.parent))
    return module
