"""Decides which bug a failing program shows: one that was met before, or a new one.

A foreign target may have several bugs, and a frequent one hides the others.  So each failing
program is also tried without what the met bugs need (``properties.shrink.avoid`` says how).  If
the program then passes, it shows one of the met bugs.  If it still fails, it may show another bug.
Nothing here runs a program: a shard does.
"""

from dataclasses import dataclass

from gpusim.kernels import Kernels
from gpusim.limits import Limits
from properties.fuzz.bugs import Bug, Bugs, Known
from properties.fuzz.settings import Settings
from properties.fuzz.shard import Shard
from properties.fuzz.signatures import forms_of
from properties.fuzz.supervisor import KILLED
from properties.generate.fitting import is_within_capabilities
from properties.model.capabilities import Capabilities
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.shrink.avoid import cured, with_only, without
from properties.shrink.reducer import Judgement, Shrunk, fails_like, shrink
from properties.shrink.together import Together, together

_LIVES_ON = (
    FailureKind.VALUE,
    FailureKind.ERROR,
    FailureKind.LATE_ERROR,
    FailureKind.DELIVERY_ORDER,
    FailureKind.CRASH,
    FailureKind.LAW,
)
"""Kinds of failures that a single run shows, and after which the worker can run other programs."""
_LAST_PATIENCE = 4
"""At the end of a session, shrinking one program may take so many times ``Settings.shrink``."""


@dataclass(frozen=True, kw_only=True)
class Sorter:
    """Shrinks failing programs, and notes in ``bugs`` which bugs they show."""

    settings: Settings
    kernels: Kernels
    bugs: Bugs
    is_ours: bool
    """Whether our own runtime is judged; then every failing program is shrunk, without looking
    first whether it shows a bug that was met."""

    def sort(self, shard: Shard, case: Case, failure: Failure) -> None:
        """Find out, mostly by shrinking it, which bug a failing case shows, and note that bug."""
        is_alone = self.is_ours or failure.kind not in _LIVES_ON or bool(case.transformations)
        if not is_alone and self._is_met(shard, case, failure):
            if len(self.bugs) < self.settings.findings:
                self._look_behind(shard, case)
            return
        small = shard.shrink(
            case,
            failure,
            kernels=self.kernels,
            seconds=self.settings.shrink,
            stall_seconds=self.settings.stall,
        )
        if small is None and failure.trait == KILLED:
            # The worker was killed by chance, since the case did not end a worker again.  So what
            # counts is how the case fails by itself.
            again = shard.supervisor.judge(case, self.settings.stall)
            if again is not None and again.trait != KILLED:
                self.sort(shard, case, again)
        elif small is None:
            self.bugs.add(case, failure, reproduced=False)
        else:
            pair = self._pair(small.case, small.failure, self._judgement(shard))
            self._add(shard, small.case, small.failure, small, pair)

    def finish(self, shard: Shard) -> None:
        """Shrink again the programs whose shrinking was cut short.

        A program that is not small may seem to show a new bug although it shows one that was met.
        """
        for bug in [each for each in self.bugs.met.values() if each.is_cut_short]:
            if self.is_ours or bug.failure.kind not in _LIVES_ON:
                continue
            small = shard.shrink(
                bug.case,
                bug.failure,
                kernels=self.kernels,
                seconds=_LAST_PATIENCE * self.settings.shrink,
                stall_seconds=self.settings.stall,
            )
            if small is not None:
                pair = self._pair(small.case, small.failure, self._judgement(shard))
                self._explain(shard, self.bugs.resume(bug, small, pair))

    def _is_met(self, shard: Shard, case: Case, failure: Failure) -> bool:
        """Count the case if it shows a bug that was met before; True if it does.

        The case runs in the worker that is there, since starting another one takes long.  Only a
        new failure must be shown by a worker in which nothing else ran.
        """
        if not self.bugs.takes:
            return False
        judgement = self._judgement(shard)
        if self._shows_known(case, failure, judgement):
            return True
        small = self._shrunk(case, failure, judgement)
        if small is None:
            return False
        pair = together(small.case, small.failure, judgement)
        if self.bugs.has(small.case, small.failure, pair):
            self._add(shard, small.case, small.failure, small, pair)
            return True
        is_new = bool(forms_of(small.case, small.failure, self.kernels) - {*self.bugs.takes})
        is_new |= not small.is_cut_short and self.bugs.is_new_condition(small.case)
        if not is_new and judgement(self._cure(small.case)) is None:
            self.bugs.explained += 1
            return True
        return False

    def _shows_known(self, case: Case, failure: Failure, judgement: Judgement) -> bool:
        """Count the case if one bug explains it; True if one does.

        A bug explains the case if two things hold.  The case still fails in the same way when, of
        all that programs can leave out, it keeps only what the bug needs.  And it passes when this
        is taken out as well.  To find this out takes a few runs; shrinking takes hundreds.
        """
        limits = case.limits(Limits())
        met = self.bugs.met.values()
        alike = [bug for bug in met if bug.failure.signature == failure.signature]
        others = [bug for bug in met if bug.failure.signature != failure.signature]
        bugs: list[Bug | Known] = [*alike, *others, *self.bugs.known]
        for bug in bugs:
            if not bug.needs:
                continue
            bare = with_only(case, bug.needs, self.kernels, limits)
            healthy = without(bare, bug.needs, self.kernels, limits)
            if fails_like(bare, failure, judgement) and judgement(healthy) is None:
                self.bugs.meet(bug)
                return True
        return False

    def _look_behind(self, shard: Shard, case: Case) -> None:
        """Look for another failure in a case that shows a bug that was met before."""
        judgement = self._judgement(shard)
        failure = judgement(self._cure(case))
        if failure is None or failure.kind not in _LIVES_ON:
            return

        def without_known(each: Case) -> Failure | None:
            return judgement(self._cure(each)) if self._is_promised(each) else None

        small = self._shrunk(case, failure, without_known)
        # The small case may show the failure even without the cure.
        for shown in () if small is None else (small.case, self._cure(small.case)):
            again = judgement(shown)
            if again is None:
                continue
            pair = self._pair(shown, again, judgement)
            if not self.bugs.has(shown, again, pair):
                self._add(shard, shown, again, small, pair)
                return

    def _add(
        self, shard: Shard, case: Case, failure: Failure, shrunk: Shrunk | None, pair: Together
    ) -> None:
        """Note a bug, and explain it if it is not explained yet."""
        bug = self.bugs.add(case, failure, reproduced=True, shrunk=shrunk, together=pair)
        self._explain(shard, bug)

    def _explain(self, shard: Shard, bug: Bug | None) -> None:
        if bug is not None and bug.argument is None:
            bug.argument = shard.supervisor.explain(bug.case, bug.failure, self.settings.stall)

    def _pair(self, case: Case, failure: Failure, judgement: Judgement) -> Together:
        """The kinds of the two ops between which a sync heals the case; empty if there are none.

        They are sought in the case without what the met bugs need, if it still fails in the same
        way.  Otherwise, or if our own runtime is judged, they are sought in the case as it is.
        """
        healthy = case if self.is_ours else self._cure(case)
        is_same = healthy.program == case.program or fails_like(healthy, failure, judgement)
        return together(healthy if is_same else case, failure, judgement)

    def _cure(self, case: Case) -> Case:
        return cured(case, self.bugs.takes, self.bugs.needs, self.kernels, Limits())

    def _is_promised(self, case: Case) -> bool:
        """Whether the case asks for no more than is promised."""
        promises, limits = case.promises or Capabilities(), case.limits(Limits())
        return is_within_capabilities(case.program, promises, self.kernels, limits)

    def _judgement(self, shard: Shard) -> Judgement:
        return shard.judgement(self.settings.stall)

    def _shrunk(self, case: Case, failure: Failure, judgement: Judgement) -> Shrunk | None:
        seconds = self.settings.shrink
        return shrink(case, failure, judgement, kernels=self.kernels, seconds=seconds)
