"""Where an atomic's result decides what comes next, other orders are looked at as well."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from gpusim import Kernel, Runtime
from gpusim.simulated import open_device
from gpusim.simulated.scheduler import ORDERS
from gpusim.simulated.scheduler import Drawn as DrawnChoices
from gpusim.wgsl import compile_module
from gpusim.wgsl.checks import CheckedEntry, Ledger, check_dispatch
from gpusim.wgsl.checks.orders import Backwards, Drawn, Order, tried
from tests.wgsl.mistaken.case import Case
from tests.wgsl.mistaken.ordered import ORDERED
from tests.wgsl.shaders import shader

pytestmark = pytest.mark.unit
COUNT = "var<workgroup> k: atomic<u32>; var<workgroup> s: array<u32, 16>;"


def kinds(case: Case, text: str, orders: int) -> set[str]:
    kernel = Kernel.from_wgsl(text, name=case.name)
    found = kernel.check(
        case.buffers, case.scalars, grid=case.grid, arithmetic=case.arithmetic, orders=orders
    )
    return {report.kind for report in found}


@pytest.mark.parametrize("case", ORDERED, ids=lambda case: case.name)
def test_the_usual_order_does_not_show_it_and_others_do(case: Case) -> None:
    assert kinds(case, case.text, 0) == set()
    assert kinds(case, case.text, 16) == {case.kind}
    assert kinds(case, case.mended, 100) == set()


def test_a_report_says_in_which_order_it_was_met() -> None:
    (case,) = [each for each in ORDERED if each.name == "queue_that_ends_too_late"]
    (report,) = Kernel.from_wgsl(case.text).check(case.buffers, grid=case.grid)
    assert report.order == "the last first"
    assert "\n  in another order of workgroups and atomics: the last first\n" in str(report)


@pytest.mark.parametrize(
    ("body", "depends"),
    [
        ("o[i] = atomicAdd(&k, 1u);", False),
        ("atomicAdd(&k, a[i]); workgroupBarrier(); if (a[i] > 3u) { o[i] = 1u; }", False),
        ("o[atomicAdd(&k, 1u)] = a[i];", True),
        ("if (atomicAdd(&k, 1u) == 0u) { o[0] = 1u; }", True),
        ("let t = atomicMax(&k, i); var at = t * 2u; at += 1u; o[i] = a[at];", True),
        ("s[l] = atomicAdd(&k, 1u); workgroupBarrier(); o[i] = a[s[15u - l]];", True),
        ("atomicAdd(&k, i); for (var j = 0u; j < atomicLoad(&k); j++) { o[i] += j; }", True),
        ("var at = 0u; atomicOr(&k, l); if (atomicLoad(&k) > 2u) { at = 1u; } o[at] = a[i];", True),
    ],
)
def test_orders_are_looked_at_where_they_decide(body: str, depends: bool) -> None:
    text = shader(body, COUNT)
    assert CheckedEntry(compile_module(text).entry("main"), Ledger(), text).depends == depends


def test_every_order_of_three_is_explored_once() -> None:
    seen = [tuple(order.shuffle(3).tolist()) for order in tried(100)]
    assert seen == sorted(permutations(range(3)))


def test_a_large_dispatch_gets_as_many_orders_as_are_asked_for() -> None:
    seen = [order.shuffle(50).tolist() for order in tried(5)]
    assert seen[:2] == [[*range(50)], [*range(50)][::-1]]
    assert len({tuple(each) for each in seen}) == len(seen) == 6


@pytest.mark.parametrize("order", [Backwards(), Drawn(7)], ids=lambda order: order.name)
def test_an_order_can_be_repeated(order: Order) -> None:
    def choices(made: Order) -> Any:
        return [made.pick(9), made.shuffle(20).tolist(), made.pick(9)]

    assert choices(order) == choices(order.again()) == choices(order.again())


def test_no_order_is_reported_in_which_a_loop_waits_for_who_comes_later() -> None:
    text = shader(
        "if (w.x == 0u) { atomicStore(&o[0], 1u); }\n"
        "if (w.x == 1u) { loop { if (atomicLoad(&o[0]) == 1u) { break; } } o[l + 7u] = a[i]; }",
        size=1,
    ).replace("o: array<u32>", "o: array<atomic<u32>>")
    text = text.replace("o[l + 7u] = a[i]", "atomicStore(&o[l + 7u], a[i])")
    assert check_dispatch(text, "main", [*np.zeros((2, 256), np.uint8)], (2, 1, 1)) == ()


def choosing(order: int) -> DrawnChoices:
    return DrawnChoices(lambda count: order if count == len(ORDERS) else 0)


def test_the_scheduler_of_a_device_decides_the_order_and_no_result_changes() -> None:
    (case,) = [each for each in ORDERED if each.name == "one_order_of_six"]
    kernel = Kernel.from_wgsl(case.text, name=case.name)
    found, results = [], []
    for number in range(len(ORDERS)):
        ledger = Ledger()
        device = open_device(scheduler=choosing(number), checks=ledger)
        with Runtime(device, "eager") as runtime:
            buffers = [runtime.alloc(1024), runtime.alloc(1024)]
            runtime.dispatch(kernel, buffers, grid=1)
            results.append(runtime.read(buffers[1]).result())
            for buffer in buffers:
                runtime.free(buffer)
        found.append(bool(ledger.reports))
    assert set(found) == {False, True}
    assert len({bytes(each) for each in results}) == 1
