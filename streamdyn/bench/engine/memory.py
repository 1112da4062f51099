"""What a stream's cache needs at the least, and how much larger it is."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from streamdyn.bench.engine.subject import BENCH, Subject
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.engine.cpu.rows import ROW_BYTES, RowType
from streamdyn.engine.graph import Conv, ConvTranspose, Graph, Op, Pool, Resize

ASKED = Asked(1.25, at_most=True)
MIB = 1 << 20


def measure_memory(subject: Subject) -> Iterator[Measurement]:
    """The cache of a stream, in MiB and over its least size."""
    network = subject.network
    least = least_bytes(network.plan.graph, subject.dtype)
    about = subject.about(least_bytes=least)
    case = f"{subject.case}, cache of a stream"
    yield Measurement.of(BENCH, case, "size", "MiB", [network.cache_bytes / MIB], about=about)
    yield Measurement.of(
        BENCH, case, "size over maps read with a halo and outputs", "ratio",
        [network.cache_bytes / least], asked=ASKED, about=about,
    )  # fmt: skip


def least_bytes(graph: Graph, dtype: RowType) -> int:
    """The maps that some layer reads beyond the pixel it computes, and the outputs in float32.

    It follows from the layers alone, not from what a plan of them keeps.
    """
    maps = {node.inputs[0] for node in graph.nodes if _has_halo(node.op)}
    kept = sum(prod(graph.shapes[value]) for value in maps)
    returned = sum(prod(graph.shapes[value]) for value in graph.outputs)
    return kept * ROW_BYTES[dtype] + returned * 4


def _has_halo(op: Op) -> bool:
    """Whether an output pixel depends on more than one pixel, or on one at another place."""
    match op:
        case Conv(weight=weight) | ConvTranspose(weight=weight):
            return weight.shape[2:] != (1, 1)
        case Pool(kernel=kernel):
            return kernel != (1, 1)
        case Resize(mode="bilinear"):
            return True
        case _:
            return False
