"""Sessions over sound and broken targets: findings are shrunk and saved, and sessions go on."""

import io
import math
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gpusim.errors import InternalError
from gpusim.runtime import PRESETS
from properties.finding_file import read
from properties.fuzz.details import show_bug
from properties.fuzz.engine import Session, fuzz
from properties.fuzz.replay import Replay, Untrusted, plan_replay, replay
from properties.fuzz.report import verdict
from properties.fuzz.settings import ReplaySettings, Settings
from properties.model.case import RUNTIME

PLANTED = Path(__file__).parent / "planted.py"


def planted(name: str) -> str:
    return f"{PLANTED}:{name}"


def ignore(session: Session) -> None:
    """A session needs nobody who watches."""


def again(path: Path, target: str | None = None) -> Replay:
    settings = ReplaySettings(target=target)
    return replay(plan_replay(path, settings), settings.stall)


def run(save: Path, device: str, target: str = "runtime", **asked: object) -> Session:
    """A session that makes small whatever it finds, however long that takes on a busy machine."""
    limits = {"programs": 40, "findings": 1, "shrink": math.inf, "stall": 60.0, **asked}
    return fuzz(Settings(device=device, target=target, save=save, **limits), ignore)  # type: ignore[arg-type]


def test_nothing_is_found_in_the_runtime(tmp_path: Path, device_name: str) -> None:
    session = run(tmp_path / "findings", device_name)
    assert len(session.bugs) == 0
    assert session.is_valid
    assert session.tally.programs == 40
    assert list(session.tally.policies) == list(PRESETS)[: session.tally.programs]
    assert session.tally.compared_bytes > 10_000
    assert session.tally.measured_reads > 0
    assert not (tmp_path / "findings").exists()


def test_two_workers_run_the_programs_of_one(tmp_path: Path) -> None:
    one, two = (run(tmp_path, "simulated", workers=workers, first=7) for workers in (1, 2))
    assert two.tally.programs == 40
    assert two.tally.accepted == one.tally.accepted
    assert two.tally.refused == one.tally.refused
    assert two.tally.events == one.tally.events
    assert two.tally.reached.cells == one.tally.reached.cells


def test_a_planted_mistake_is_found_made_small_and_replays(
    tmp_path: Path, device_name: str
) -> None:
    target = planted("write_overtakes_batch")
    session = run(tmp_path, device_name, target)
    (bug,) = session.bugs.met.values()
    # What overtakes shows in the calls; it shows in a value too if the program reads it.
    assert bug.failure.kind in ("value", "law")
    assert bug.reproduced
    assert len(bug.case.program) <= 8
    assert read(bug.file).case == bug.case
    replayed = again(bug.file, target)
    assert replayed.device == device_name
    assert replayed.failure == bug.failure
    with pytest.raises(Untrusted):
        again(bug.file)
    # The mistake is the target's and not the case's.
    plan = plan_replay(bug.file, ReplaySettings(target=target))
    sound = replace(plan, case=replace(plan.case, target=RUNTIME))
    assert replay(sound, ReplaySettings().stall).failure is None


def test_a_mistake_that_no_value_shows_breaks_a_law(tmp_path: Path) -> None:
    session = run(tmp_path, "simulated", planted("submits_each"))
    (bug,) = session.bugs.met.values()
    assert bug.failure.kind == "law"
    assert len(bug.case.program) <= 4
    assert "source: " in str(bug.failure)
    assert again(bug.file, planted("submits_each")).failure == bug.failure


def test_a_planted_mistake_of_order_in_a_naive_target_is_found(tmp_path: Path) -> None:
    session = run(tmp_path, "simulated", planted("gathers_writes"))
    (bug,) = session.bugs.met.values()
    assert bug.failure.kind == "value"
    assert len(bug.case.program) <= 8


def test_a_naive_target_is_right_where_it_promises_to_be(tmp_path: Path) -> None:
    session = run(tmp_path, "simulated", "naive")
    assert len(session.bugs) == 0
    assert session.is_valid
    assert session.tally.refused.total() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_target_that_aborts_is_named_and_gone_on_from(tmp_path: Path, workers: int) -> None:
    # What is made small is aborted again and again, and each abort costs a process.  So does each
    # other setting that is tried; the policy lazy has the fewest that could help.  Of these four
    # programs the middle two abort.  Each of two workers has one, and one goes on behind its death.
    drawn = {"seed": 1, "first": 1, "programs": 4, "policy": "lazy"}
    asked = {"findings": 9, "shrink": 0.0, "workers": workers}
    session = run(tmp_path, "simulated", planted("aborts"), **drawn, **asked)
    bug = next(iter(session.bugs.met.values()))
    assert (bug.failure.kind, bug.failure.trait) == ("abort", "SIGABRT")
    assert "the driver is beyond help" in bug.summary
    assert bug.failure.op, "the op in flight is not named"
    assert "last call on the driver: " in bug.summary
    assert session.deaths > 1, "the session ended with the first worker that died"
    assert session.bugs.failures == session.deaths
    assert session.programs == 4
    failure = again(bug.file, planted("aborts")).failure
    assert failure is not None
    assert failure.kind == "abort"


def test_a_session_says_that_failures_have_ended_it(tmp_path: Path) -> None:
    asked = {"failures": 1, "shrink": 0.0}
    ended = run(tmp_path, "simulated", planted("gathers_writes"), findings=2, **asked)
    assert verdict(ended).startswith("1 found in ")
    assert verdict(ended).endswith("; it stopped after 1 failing program (--failures)")
    found = run(tmp_path, "simulated", planted("gathers_writes"), findings=1, **asked)
    assert verdict(found).endswith("programs")


def test_an_abort_tells_the_panic_and_what_the_layer_says(tmp_path: Path) -> None:
    session = run(tmp_path, "simulated", planted("SubmitsDestroyed"))
    (bug,) = session.bugs.met.values()
    assert bug.failure.kind == "abort"
    panic = "Error in wgpuQueueSubmit: Validation Error / Buffer with '' label has been destroyed"
    assert f"SIGABRT: {panic} / fatal runtime error" in bug.summary
    assert bug.argument is not None
    (fact,) = bug.argument.facts
    assert "with --adversary it does not abort; op 1 (free a): GPUValidationError: cannot" in fact


def test_a_target_that_hangs_is_named(tmp_path: Path) -> None:
    # What is made small hangs again and again, and each hang costs its second.  So does each other
    # setting that is tried; the policy lazy has the fewest that could help.
    asked = {"stall": 1.0, "shrink": 1.0, "policy": "lazy"}
    session = run(tmp_path, "simulated", planted("hangs"), **asked)
    (bug,) = session.bugs.met.values()
    assert bug.failure.kind == "hang"
    assert "no progress in 1 s" in bug.summary
    assert bug.failure.op.split()[0] in ("sync", "read", "flush", "write", "free", "copy", "replay")
    assert "last call on the driver: " in bug.summary
    if hasattr(signal, "SIGUSR1"):
        assert "it stood in wait (threading.py), called from " in bug.summary
        assert "called from trouble (planted.py)" in bug.summary
    verbs = [line.split()[0] for line in str(bug.case.program).splitlines()]
    kernels = [verb for verb in verbs if verb in ("dispatch", "copy", "write", "capture")]
    assert len(kernels) > 1, "what is left no longer needs two kernels"
    assert bug.is_cut_short == bug.summary.endswith(" (shrinking it was cut short)")


def test_a_fault_that_is_not_told_is_found_and_replays_with_its_device(tmp_path: Path) -> None:
    target = planted("ignores_failed_submits")
    session = run(tmp_path, "simulated", target, programs=400, faults=True, policy="lazy")
    (bug,) = session.bugs.met.values()
    assert str(bug.case.device) == "simulated failed_submits=0"
    assert len(bug.case.program) <= 5
    assert bug.shrunk is not None
    assert bug.shrunk.candidates > 10
    console = Console(record=True, width=200, file=io.StringIO())
    show_bug(1, bug, session, console)
    printed = console.export_text()
    assert "device simulated failed_submits=0, policy" in printed
    assert f"shrunk: {bug.shrunk.candidates} candidates were judged" in printed
    assert again(bug.file, target).failure == bug.failure


def test_a_judge_that_fails_itself_finds_nothing(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="there is no target"):
        run(tmp_path, "simulated", planted("fails_to_judge"))
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_session_add_up_to_the_whole(tmp_path: Path) -> None:
    whole = run(tmp_path, "simulated", programs=24, seed=7).tally
    parts = run(tmp_path, "simulated", programs=9, seed=7).tally
    parts.add(run(tmp_path, "simulated", programs=15, first=9, seed=7).tally)
    for tally in (whole, parts):
        for policy in tally.policies.values():
            policy.seconds = 0.0
    assert whole == parts


def test_another_seed_makes_other_programs(tmp_path: Path) -> None:
    one, other = (run(tmp_path, "simulated", programs=4, seed=seed).tally for seed in (1, 2))
    assert one.accepted != other.accepted


def test_a_session_ends_when_its_time_is_up(tmp_path: Path) -> None:
    # No machine runs so many programs in a second.
    session = run(tmp_path, "simulated", programs=20_000, seconds=1.0)
    assert session.seconds >= 1.0
    assert 0 < session.tally.programs < 20_000
