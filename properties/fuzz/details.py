"""The details of a session: its tables, its warnings, and each finding in full.

Every word of the tables is in docs/GLOSSARY.md.  Nothing is judged or counted here.
"""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from properties.fuzz.bugs import Bug
from properties.fuzz.coverage import coverage
from properties.fuzz.engine import Session
from properties.fuzz.report import rate, replay_of
from properties.model.case import PLAIN
from properties.oracles.coverage import chance_of_new


def show(session: Session, console: Console) -> None:
    """Print the tables, the warnings, and each finding with its whole program and argument."""
    console.print(_policies(session))
    console.print(_coverage(session))
    console.print(_quality(session), highlight=False)
    for mistake in session.planted:
        console.print(Text(f"{mistake}"), soft_wrap=True)
    for name, reason in session.unreachable.items():
        console.print(f"out of reach: {name}, since {reason}", highlight=False)
    if session.not_asked:
        words = f"not asked, since not promised: {'; '.join(session.not_asked)}"
        console.print(Text(words), soft_wrap=True)
    for warning in session.warnings:
        console.print(f"[yellow]warning[/]: {warning}", highlight=False)
    for blind in session.blind_spots:
        console.print(f"not seen: {blind}", highlight=False)
    for known in session.bugs.known:
        console.print(Text(f"known: {known.file} {known}"), soft_wrap=True)
    for number, bug in enumerate(session.bugs.met.values(), start=1):
        show_bug(number, bug, session, console)


def show_bug(number: int, bug: Bug, session: Session, console: Console) -> None:
    """Print one finding: why it fails, the program, and the command that replays it."""
    console.rule(f"finding {number}: {bug.failure.kind}, met {bug.count} times", align="left")
    client = "" if bug.case.client == PLAIN else f", client {bug.case.client}"
    policy = f"policy {bug.case.policy}, " if session.is_ours else ""
    device = str(bug.case.device)
    # Faults, limits and a scheduler belong to a finding as much as its program.
    asked = "" if device == bug.case.device.name else f"device {device}, "
    if bug.case.disturbance is not None:
        asked += f"disturbed by {bug.case.disturbance}, "
    console.print(f"{asked}{policy}program {bug.case.seed}{client}", highlight=False)
    if bug.argument is not None:
        console.print(Text(f"{bug.argument}\n"), soft_wrap=True)
    # A line of a program is never wrapped, so that it can be copied.
    console.print(Text(f"{bug.case.program}\n{bug.failure}"), soft_wrap=True)
    if bug.reproduced is False:
        console.print("It did not fail again when it was run by itself.")
    if bug.shrunk is not None:
        console.print(f"shrunk: {bug.shrunk.candidates} candidates were judged", highlight=False)
    if bug.is_cut_short:
        words = f"--shrink {4 * session.settings.shrink:g}"
        console.print(f"Shrinking was cut short: {words} may make it smaller.", highlight=False)
    if bug.unsaved:
        console.print(Text(f"It could not be saved: {bug.unsaved}"), soft_wrap=True)
        return
    console.print(Text(f"file:   {bug.file}\nreplay: {replay_of(bug, session)}"), soft_wrap=True)


def _policies(session: Session) -> Table:
    table = Table(
        "policy", title=Text(f"{session.device}: {session.description}"), title_justify="left"
    )
    for column in ("programs", "ops", "programs/s", "ops/s"):
        table.add_column(column, justify="right")
    for name, part in session.tally.policies.items():
        table.add_row(
            name if session.is_ours else "its own",
            str(part.programs),
            str(part.ops),
            rate(part.programs, part.seconds),
            rate(part.ops, part.seconds),
        )
    tally, seconds = session.tally, session.fuzz_seconds
    table.add_section()
    table.add_row(
        "all",
        str(tally.programs),
        str(tally.ops),
        rate(tally.programs, seconds),
        rate(tally.ops, seconds),
    )
    return table


def _coverage(session: Session) -> Table:
    table = Table("reached", "how often", title="coverage", title_justify="left", show_lines=False)
    for name, rows in coverage(session.tally).items():
        table.add_section()
        for row, columns in rows.items():
            table.add_row(f"{name}: {row}", _counts(columns))
    return table


def _counts(columns: dict[str, int]) -> Text:
    text = Text()
    for number, (column, count) in enumerate(columns.items()):
        text.append(", " if number else "")
        text.append(f"{column} {count or 'never'}", style="" if count else "bold red")
    return text


def _quality(session: Session) -> str:
    tally = session.tally
    batches = tally.reached.batches
    shapes = (
        f"; {len(batches)} shapes of batches, and the next is new with a chance of "
        f"{chance_of_new(batches):.1%}"
    )
    return (
        f"median of accepted ops {tally.median_accepted}; {tally.deep_share:.0%} of "
        f"{tally.measured_reads} reads depend on two earlier writers or more; "
        f"{tally.checked.exact_bytes} bytes compared exactly, "
        f"{tally.checked.tolerant_bytes} within a tolerance, {tally.checked.skipped_bytes} not"
        + (shapes if batches else "")
        + f"; {tally.reach}"
    )
