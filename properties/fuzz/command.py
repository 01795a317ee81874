"""The commands ``gpusim fuzz`` and ``gpusim merge``: which session runs, and how it is reported.

What a session found is printed here, and written to the files that were asked for.  The settings
are in ``settings``.  The exit status is decided in ``properties.cli``.
"""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from properties.fuzz.blocks import fuzz_shard
from properties.fuzz.details import show
from properties.fuzz.engine import Session, Watch
from properties.fuzz.engine import fuzz as fuzz_alone
from properties.fuzz.exports import write_junit, write_sarif
from properties.fuzz.fleet import fuzz_fleet
from properties.fuzz.report import as_json, live, say, write_json
from properties.fuzz.settings import Settings, gather
from properties.fuzz.status import status
from properties.fuzz.union import Union, union


def fuzz(arguments: argparse.Namespace) -> Session:
    """Run the session that is asked for, and report it."""
    settings = gather(Settings, vars(arguments), os.environ)
    with live(Console(quiet=arguments.quiet), _silent if arguments.quiet else _tell) as watch:
        whole = _in_blocks(settings, watch)
        session = fuzz_alone(settings, watch) if whole is None else whole.session
    _report(session, whole, arguments)
    return session


def merge(arguments: argparse.Namespace) -> Session:
    """Sum up the corpora that are named, and report the sum."""
    settings = Settings(save=arguments.save or Settings().save, json=arguments.json)
    whole = union([Path(folder) for folder in arguments.folders], settings)
    _report(whole.session, whole, arguments)
    if arguments.html is not None:
        arguments.html.write_text(status(whole), encoding="utf-8")
    return whole.session


def _in_blocks(settings: Settings, watch: Watch) -> Union | None:
    """Run a session in blocks; None if the session has no corpus, and so no blocks."""
    if settings.fleet:
        return fuzz_fleet(settings, watch)
    return None if settings.corpus is None else fuzz_shard(settings, watch)


def _report(session: Session, whole: Union | None, arguments: argparse.Namespace) -> None:
    """Say what a session found, and write what was asked for."""
    if whole is not None:
        whole.save_findings()
    if arguments.details:
        show(session, Console())
    if said := say(session, quiet=arguments.quiet):
        print(said)
    if whole is not None and not arguments.quiet:
        print("\n".join(whole.lines()))
    if (path := session.settings.json) is not None:
        write_json(as_json(session) if whole is None else whole.as_json(), path)
    for name, write in {"junit": write_junit, "sarif": write_sarif}.items():
        if (path := getattr(arguments, name)) is not None:
            write(session, path)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    """Say nothing."""
