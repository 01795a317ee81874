"""``workgroupUniformLoad`` orders what is before it and after it, in workgroup memory alone.

WGSL specification, "Synchronization Built-in Functions": it "executes a control barrier"; "the
affected memory and atomic operations program-ordered before the synchronization function must be
visible to all other threads in the workgroup before any affected memory or atomic operation
program-ordered after the synchronization function is executed".  Its load belongs to the function.
"""

import numpy as np
import pytest

from gpusim.wgsl.checks import check_dispatch
from tests.wgsl.mistaken.case import HEAD, MAIN

pytestmark = pytest.mark.unit
MEMORY = "var<workgroup> s: u32; var<workgroup> t: array<u32, 64>; var<workgroup> k: atomic<u32>;\n"
FIRST = "if (l == 0u) { s = x[id.x]; } workgroupBarrier(); "
CASES = [
    ("a write before it", "if (l == 0u) { s = x[id.x]; } out[id.x] = LOAD;", set()),
    ("a write after it", FIRST + "let v = LOAD; if (l == 1u) { s = v; } out[id.x] = v;", set()),
    ("other words before it", FIRST + "t[l] = l; let v = LOAD; out[id.x] = v + t[63u - l];", set()),
    ("a read before it", FIRST + "let v = s; let u = LOAD; if (l == 1u) { s = u + v; }", set()),
    ("storage", FIRST + "x[id.x] = l; let v = LOAD; out[id.x] = v + x[id.x ^ 1u];", {"race"}),
    ("a branch", "if (l == 0u) { s = x[l]; } if (l < 9u) { out[id.x] = LOAD; }", {"barrier"}),
    ("nobody wrote it", "out[id.x] = x[id.x] + LOAD;", {"unwritten"}),
]
PLAIN = {"a write before it", "a write after it", "other words before it", "a read before it"}


def kinds(body: str) -> set[str]:
    text = f"{HEAD}{MEMORY}{MAIN}    {body}\n let all = arrayLength(&x) + arrayLength(&out); }}"
    buffers = [np.arange(128, dtype=np.uint32).view(np.uint8) for _ in range(2)]
    return {report.kind for report in check_dispatch(text, "main", buffers, (1, 1, 1))}


@pytest.mark.parametrize(("name", "body", "found"), CASES, ids=[case[0] for case in CASES])
def test_what_it_orders(name: str, body: str, found: set[str]) -> None:
    assert kinds(body.replace("LOAD", "workgroupUniformLoad(&s)")) == found


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_plain_load_orders_nothing(name: str) -> None:
    (body,) = [body for each, body, _ in CASES if each == name]
    assert kinds(body.replace("LOAD", "s")) == {"race"}


def test_the_form_for_atomics_orders_too() -> None:
    body = "t[l] = atomicAdd(&k, 1u); out[id.x] = workgroupUniformLoad(&k) + t[63u - l];"
    assert kinds(body) == set()
    assert kinds(body.replace("workgroupUniformLoad", "atomicLoad")) == {"race"}
