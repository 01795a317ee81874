"""The rules that an argument names: laws, and sentences of the contract.

A rule of the contract is one sentence of docs/CONTRACT.md; its name is the row in which it stands.
"""

from properties.oracles.laws.catalogue import Law

_CONTRACT = "docs/CONTRACT.md, Ops"


def _rule(op: str, sentence: str) -> Law:
    return Law(name=f"contract, {op}", sentence=sentence, source=_CONTRACT)


DATA_ALONE = Law(
    name="A13",
    sentence="results depend on their data alone",
    source="docs/LAWS.md, laws that no single trace can show",
)
WHOLE = Law(
    name="contract",
    sentence="An op happens whole, or raises and changes nothing",
    source=_CONTRACT,
)
SCALARS = _rule("dispatch", "The scalars are those of the call")
PART = _rule(
    "dispatch", "A part, `a[256:512]`, binds bytes 256 to 511 of a, and the kernel sees no others"
)
WORDS = _rule("dispatch", "`size // 4` words, and no byte after them")
GRID = _rule("dispatch", "`grid` counts workgroups; with a zero in it nothing runs")
INDIRECT = _rule(
    "dispatch_indirect", "a dispatch over a grid that the GPU reads at this point of the program"
)
MEMMOVE = _rule("copy", "within one buffer the two ranges may overlap, as in memmove")
READ = _rule("read", "the value at this point of the program")
KEPT = _rule("read", "in memory that the runtime never changes again")
TAKEN = _rule("write", "the data is taken at the call")
HANDLE = _rule("free", "its handle never reaches the data of another buffer")
KERNEL = Law(
    name="kernel",
    sentence="a compute shader in WGSL, together with the same meaning in NumPy",
    source="docs/GLOSSARY.md",
)
REPLAY = _rule("replay", "carry out the commands of g, in order, as if each was called now")
ENTRIES = _rule("replay", "A dispatch gets the scalars given for it, or else those of the capture")
BINDINGS = _rule(
    "replay", "`bindings` puts other buffers in the place of captured ones, all at once"
)
REPORTED = _rule("sync", "raise an error that no call has raised yet, once")
LOST = Law(
    name="contract, DataLost",
    sentence=(
        "the source, a bound buffer or the buffer of the grid was lost: with a failed batch, or by "
        "a fault between the commands of one op"
    ),
    source="docs/CONTRACT.md, Refusals",
)
OWN_ERROR = _rule("sync", "every read before it is settled by then, with a value or an error")
MESSAGES = Law(
    name="contract, words",
    sentence="Every message names the argument and what was probably meant",
    source="docs/CONTRACT.md, In Python",
)
FROM_CONTRACT = (
    WHOLE, SCALARS, PART, WORDS, GRID, INDIRECT, MEMMOVE, READ, KEPT, TAKEN, HANDLE, REPLAY,
    ENTRIES, BINDINGS, REPORTED, OWN_ERROR, LOST, MESSAGES,
)  # fmt: skip
