"""Whatever a dispatch makes anew, it computes what the chain means."""

from typing import Any

import pytest

from gpusim.errors import ProgramError
from properties.bench.arms import Chain
from properties.bench.cuda import meant
from properties.bench.parts import FORMS, Form, bench, form_arm
from properties.bench.timing import Asked

CHAIN = Chain(name="chain", dispatches=12)


def is_native(device: Any) -> bool:
    return type(device).__module__.startswith("wgpu.backends.wgpu_native")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_computes_what_the_chain_means(asked: Asked, form: Form) -> None:
    if not is_native(asked.device):
        with pytest.raises(ProgramError, match="they are calls of wgpu-native"):
            bench(asked)
        return
    arm = form_arm(asked.device, form, CHAIN)
    for _ in range(2):
        sample = arm()
        assert 0 < sample.record_seconds <= sample.total_seconds
    assert arm.words == meant(CHAIN, rounds=2)


@pytest.mark.unit
def test_a_form_makes_one_part_more_than_the_one_beside_it() -> None:
    names = set(Form.__slots__) - {"beside"}
    for form in FORMS.values():
        if form.beside is not None:
            other = FORMS[form.beside]
            more = {name for name in names if getattr(form, name) != getattr(other, name)}
            # A pass begins without a pipeline, so it sets its own.
            assert len(more - {"sets_pipeline"}) == 1 or more == {"sets_pipeline"}
