"""Labels of pixels from scores, in compiled code: see `between` for its pieces and intervals.

For a piece of a line, scores are interpolated along the columns, then along the line, and the
label of the highest is found class by class in registers. So what a picture costs is what of it
changed, however it lies on the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types
import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.emit import I64, INT, VOID, Native, emit, inlined, pointer
from streamdyn.engine.cpu.lanes import I32S, LANES, VECTOR_BYTES
from streamdyn.engine.cpu.memory import copy_bytes, index32, number, put_number, put_word, word
from streamdyn.engine.cpu.rows import CACHE_LINE, FLOAT32, code
from streamdyn.engine.cpu.simd import VECTOR, load, splat, store
from streamdyn.postprocess.between import Between

if TYPE_CHECKING:
    from streamdyn.engine.cpu.simd import Vector

_I8S = ir.VectorType(ir.IntType(8), LANES)


@dataclass(frozen=True, slots=True)
class Scores:
    """What a network said of one picture, in memory of its own."""

    bordered: NDArray[np.float32]  # (classes, rows + 2, pitch)
    changed: NDArray[np.int64]  # (rows + 2, pieces), not 0: other scores than those before

    @classmethod
    def take(cls, maps: NDArray[np.float32], before: Scores | None) -> Scores:
        """Copy maps (classes, rows, cols), and compare them; with nothing, all of them changed."""
        maps = np.ascontiguousarray(maps, np.float32)
        classes, rows, cols = maps.shape
        pieces = cols // LANES + 1
        pitch = (pieces + 1) * LANES
        bordered = _empty(classes * (rows + 2) * pitch).reshape(classes, rows + 2, pitch)
        changed = np.zeros((rows + 2, pieces), np.int64)
        old = bordered if before is None else before.bordered
        arrays = (array.ctypes.data for array in (maps, old, bordered, changed))
        _take()(*arrays, *maps.shape, pitch)
        if before is None:
            changed[:] = -1
        return cls(bordered, changed)

    def of_maps(self, rows: int, cols: int) -> NDArray[np.float32]:
        """The maps, without what lies beyond them: a view, read-only, as they are compared with."""
        maps = self.bordered[:, 1 : rows + 1, LANES : LANES + cols]
        maps.flags.writeable = False
        return maps


def label(scores: Scores, between: Between, labels: NDArray[np.uint8]) -> None:
    """Write the label of each pixel (H, W) that depends on changed scores, and some beside it."""
    classes, _, pitch = scores.bordered.shape
    ranks = len(between.across)
    lines = _empty(2 * classes * LANES)
    found = np.empty(ranks * LANES, np.uint8)
    arrays = (
        scores.bordered, scores.changed, between.lines, between.shares, between.firsts,
        between.across, between.slots, labels, lines, found,
    )  # fmt: skip
    sizes = classes, pitch, len(between.lines) - 1, between.pieces, ranks, labels.shape[1]
    arguments = np.array([*(array.ctypes.data for array in arrays), *sizes], np.int64)
    _label()(arguments.ctypes.data)


def prepare() -> None:
    """Compile what is needed, or load it, before a frame has to wait for it."""
    _take()
    _label()


@emit(VECTOR, VECTOR, VECTOR, VECTOR, VECTOR)
def where_above(builder: Any, x: Any, y: Any, above: Any, other: Any) -> Any:
    """The lanes of `above` where x > y, and else of `other`."""
    return builder.select(builder.fcmp_ordered(">", x, y), above, other)


@emit(VOID, INT, VECTOR)
def store_labels(builder: Any, address: Any, x: Any) -> None:
    """Write 16 numbers as bytes."""
    whole = builder.trunc(builder.fptosi(x, I32S), _I8S)
    builder.store(whole, pointer(builder, address, _I8S), align=1)


@emit(INT, VECTOR, VECTOR)
def unequal(builder: Any, x: Any, y: Any) -> Any:
    """A bit for each lane: whether any of its bits differs."""
    lanes = builder.icmp_signed("!=", builder.bitcast(x, I32S), builder.bitcast(y, I32S))
    return builder.zext(builder.bitcast(lanes, ir.IntType(LANES)), I64)


@cache
def _take() -> Native:
    dtype = code("float32")

    @inlined
    def copy(source: int, old: int, target: int, count: int) -> int:
        x = load(source, dtype, count)
        differs: int = unequal(x, load(old, dtype, count))
        store(target, x, dtype, count)
        return differs

    def take(
        maps: int, before: int, scores: int, changed: int,
        classes: int, rows: int, cols: int, pitch: int,
    ) -> None:  # fmt: skip
        source, pieces, left = maps, cols // LANES + 1, cols % LANES
        for plane in range(classes):
            for row in range(1, rows + 1):
                line = 4 * (plane * (rows + 2) + row) * pitch + VECTOR_BYTES
                old, target, carry = before + line, scores + line, 0
                put_number(target, -1, number(source, 0))
                put_number(target, cols, number(source, cols - 1))
                for at in range(row * pieces, (row + 1) * pieces - 1):
                    differs = copy(source, old, target, LANES)
                    put_word(changed, at, word(changed, at) | differs | carry)
                    carry = differs >> (LANES - 1)  # the last of these, the next piece reads too
                    source, old = source + VECTOR_BYTES, old + VECTOR_BYTES
                    target += VECTOR_BYTES
                last, differs = (row + 1) * pieces - 1, copy(source, old, target, left)
                put_word(changed, last, word(changed, last) | differs | carry)
                source += 4 * left
            first = scores + 4 * plane * (rows + 2) * pitch
            copy_bytes(first + 4 * pitch, first, 4 * pitch)
            copy_bytes(first + 4 * rows * pitch, first + 4 * (rows + 1) * pitch, 4 * pitch)

    return Native(take)


@inlined
def _interpolate(scores: int, pitch: int, plane: int, share: float, near: int, step: int) -> None:
    """Write scores at the lower bounds of a piece's intervals, and how far it is to the upper."""
    for at in range(near, step, VECTOR_BYTES):
        lower = scores + 4 * pitch
        left, right = load(scores, FLOAT32, LANES), load(scores + 4, FLOAT32, LANES)
        left = left + (load(lower, FLOAT32, LANES) - left) * share
        right = right + (load(lower + 4, FLOAT32, LANES) - right) * share
        store(at, left, FLOAT32, LANES)
        store(at + step - near, right - left, FLOAT32, LANES)
        scores += plane


@inlined
def _highest(near: int, step: int, share: Vector, found: int) -> None:
    """Write the labels of a slot in each interval; what is no number is never the highest."""
    best, most = splat(0.0), splat(-inf)
    for n in range((step - near) // VECTOR_BYTES):
        i = n * VECTOR_BYTES
        x = load(near + i, FLOAT32, LANES) + load(step + i, FLOAT32, LANES) * share
        best = where_above(x, most, splat(n), best)
        most = where_above(x, most, x, most)
    store_labels(found, best)


@cache
def _label() -> Native:
    dtype = code("float32")

    def label(arguments: int) -> None:
        scores, changed, lines = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        shares, firsts, across = word(arguments, 3), word(arguments, 4), word(arguments, 5)
        slots, labels, near = word(arguments, 6), word(arguments, 7), word(arguments, 8)
        found, classes, pitch = word(arguments, 9), word(arguments, 10), word(arguments, 11)
        rows, pieces, ranks = word(arguments, 12), word(arguments, 13), word(arguments, 14)
        width = word(arguments, 15)
        step, plane = near + classes * VECTOR_BYTES, 4 * (rows + 1) * pitch
        for row in range(rows):
            for piece in range(pieces):
                at = row * pieces + piece
                if not (word(changed, at) or word(changed, at + pieces)):
                    continue
                upper = scores + 4 * (row * pitch + (piece + 1) * LANES - 1)
                for y in range(index32(lines, row), index32(lines, row + 1)):
                    _interpolate(upper, pitch, plane, number(shares, y), near, step)
                    for n in range(ranks):
                        slot = (n * pieces + piece) * VECTOR_BYTES
                        share = load(across + slot, dtype, LANES)
                        _highest(near, step, share, found + n * LANES)
                    for x in range(index32(firsts, piece), index32(firsts, piece + 1)):
                        copy_bytes(found + index32(slots, x), labels + y * width + x, 1)

    return Native(label)


def _empty(count: int) -> NDArray[np.float32]:
    """Memory for numbers, from the beginning of a cache line on, so that vectors lie in one."""
    memory = np.empty(count + CACHE_LINE // 4, np.float32)
    first = -memory.ctypes.data % CACHE_LINE // 4
    return memory[first : first + count]
