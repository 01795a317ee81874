"""What the checks of shaders say of a folder of shaders that people ship: ``mistakes FOLDER``.

Each shader is dispatched as ``shipped`` does, and needs no adapter.  A shader that was not recorded
and that ``hosts`` does not know gets made-up sizes.  So a report of an index past the end may come
from these sizes, and someone must look into each report.  A model of web-llm, ``*.wasm``, has its
shaders as texts.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gpusim.wgsl import Module, ShaderError
from gpusim.wgsl.checks import check_dispatch
from tools.wgsl.shipped import jobs


def look(folder: Path) -> Iterator[str]:
    """The reports on each shader of a folder and the folders in it."""
    for file, text in _texts(folder):
        if "@compute" not in text:
            continue
        try:
            yield from _reports(file, text)
        except (ShaderError, RecursionError, ValueError) as error:
            yield f"{file.name}: not run: {str(error)[:100]}"


def _texts(folder: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(folder.rglob("*.wgsl")):
        yield file, file.read_text("utf-8", errors="replace")
    for file in sorted(folder.rglob("*.wasm")):
        data = file.read_bytes().decode("latin-1")
        for found in re.finditer(r"// Function: (\w+)\n[\t\n\r -~]*\n}\n", data):
            yield file.parent / "tvm" / f"{found[1]}.wgsl", found[0]


def _reports(file: Path, text: str) -> Iterator[str]:
    for job, bindings in jobs(file, text, Module(text)):
        slots = [(each.group, each.binding) for each in bindings]
        buffers = [np.frombuffer(job.inputs[slot], np.uint8).copy() for slot in slots]
        found = check_dispatch(text, job.entry, buffers, job.groups, constants=job.constants)
        for report in found:
            yield f"{file.name}: {report}"
