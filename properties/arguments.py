"""Reads the words of a command line: the parser, and readers of single values.

A reader takes the text of one value.  If the text is wrong, the reader raises UsageError, which
says why and names the remedy.  The caller of the reader adds the name of the argument.  No command
and no setting is known here.
"""

import argparse
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

MOST = 2**63 - 1
"""The largest whole number that is taken: a worker publishes such numbers in 64 bits."""


class UsageError(ValueError):
    """An argument has an impossible value, or would be ignored."""


def read_whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """A reader of whole numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdecimal()
        if is_number and (len(text) > len(str(MOST)) or int(text) > most):
            raise UsageError(f"it is more than {most} (probably a digit too many)")
        if not is_number or int(text) < least:
            raise UsageError(
                f"it is no whole number of at least {least} (probably a number such as 10 is meant)"
            )
        return int(text)

    return read


class Share(NamedTuple):
    """A share of a session's blocks: share ``number``, from 0, of ``machines`` shares."""

    number: int
    machines: int

    def __str__(self) -> str:
        return f"{self.number}/{self.machines}"


def read_share(text: str) -> Share:
    """A share, written ``I/N``."""
    number, slash, count = text.partition("/")
    try:
        share = Share(read_whole(0)(number), read_whole(1)(count))
    except UsageError:
        slash = ""
    if not slash or share.number >= share.machines:
        raise UsageError(
            "it is no share I/N with I from 0 to N - 1 (probably 0/4, for example, is meant)"
        )
    return share


def read_seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise UsageError(
            "it is no number of seconds above 0 (probably a number such as 2.5 is meant)"
        )
    return value


def read_device(text: str) -> str:
    """The name of a device, which need not be on this machine."""
    # Any import of gpusim loads NumPy, which takes long, and help does not need it.
    from gpusim.devices import is_name, names
    from gpusim.errors import meant

    if not is_name(text):
        raise UsageError(
            f"it is none of {', '.join(names())}, and none of them with a number "
            f"(probably {meant(text, names(), 'see gpusim devices')})"
        )
    return text


def read_choice(names: Collection[str], known: str) -> Callable[[str], str]:
    """A reader that takes only ``names``; the message of its error shows them as ``known``."""

    def read(text: str) -> str:
        if text not in names:
            from gpusim.errors import meant

            probably = meant(text, names, "a misspelling")
            raise UsageError(f"it is none of {known} (probably {probably})")
        return text

    return read


def read_text(text: str) -> str:
    """Any text but an empty one."""
    if not text.strip():
        raise UsageError("it is empty (probably a variable of the shell is not set)")
    return text


def read_path(text: str) -> Path:
    """A path; nothing need exist there."""
    return Path(read_text(text))


def read_folder(text: str) -> Path:
    """The path of a folder that is there."""
    folder = read_path(text)
    if not folder.is_dir():
        raise UsageError("there is no folder of that name (probably a misspelled path)")
    return folder


def read_file_to_write(text: str) -> Path:
    """The path of a file that could be written; nothing is written here."""
    file = read_path(text)
    if file.is_dir():
        raise UsageError("it is a folder (probably a file in it is meant)")
    if not file.parent.is_dir():
        raise UsageError(f"there is no folder {file.parent} (probably it is to be made first)")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UsageError("it cannot be written (probably another place is meant)")
    return file


def read_value(read: Callable[[str], Any], text: str, source: str) -> Any:
    """The value in ``text``; the UsageError names ``source``, the argument or the variable."""
    try:
        return read(text)
    except UsageError as error:
        raise UsageError(f"cannot take {source}={text} because {error}") from None


class Once(argparse.Action):
    """Reads one value, and refuses a second one, which would silently replace the first."""

    def __init__(self, *about: Any, read: Callable[[str], Any] = str, **named: Any) -> None:
        super().__init__(*about, **named)
        self._read = read

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """See argparse."""
        source = option_string or self.dest
        if getattr(namespace, self.dest) is not self.default:
            raise UsageError(
                f"cannot take {source}={values} because {source} was given before "
                "(probably one of the two is left from an earlier command)"
            )
        setattr(namespace, self.dest, read_value(self._read, values, source))


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError if it cannot understand a command line."""

    def add_option(self, name: str, read: Callable[[str], Any], text: str, **how: Any) -> None:
        """An option with a value, which may be given once; ``text`` is its help."""
        self.add_argument(name, action=Once, read=read, help=text, **how)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, with the known word that is like an unknown one."""
        from gpusim.errors import meant

        word, names = "", list[str]()
        if choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            word, names = choice[1], re.findall(r"[\w-]+", choice[2])
        elif option := re.search(r"unrecognized arguments: (--[\w-]+)", message):
            word, names = option[1], self._options()
        probably = meant(word, names, f"`{self.prog} --help` shows what is meant")
        raise UsageError(
            f"cannot understand the command line because of this: {message} (probably {probably})"
        )

    def _options(self) -> list[str]:
        """The options of this parser and of its commands."""
        commands = (each.choices for each in self._actions if isinstance(each.choices, dict))
        parsers = [self, *(one for each in commands for one in each.values())]
        return [name for parser in parsers for name in parser._option_string_actions]
