"""Masks as plain values: the size of the network's input, that of a block, and run lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.records.rle import from_rle, to_rle


def mask_fields(mask: BlockMask) -> dict[str, Any]:
    """The fields of a mask: some 60 bytes of JSON, more where its blocks lie scattered.

    >>> mask_fields(BlockGrid(height=64, width=96, block=32).all())
    {'grid': [64, 96, 32], 'counts': '06'}
    """
    grid = mask.grid
    fields: dict[str, Any] = {"grid": [grid.height, grid.width, grid.block]}
    if grid.picture is not None:
        fields["picture"] = list(grid.picture)
    return {**fields, "counts": to_rle(mask.active)["counts"]}


def make_mask(fields: dict[str, Any]) -> BlockMask:
    """The inverse of `mask_fields`.

    Raises:
        ValueError: the run lengths do not fit the grid, or it is none.
    """
    height, width, block = map(int, fields["grid"])
    picture = fields.get("picture")
    if picture is not None:
        top, left, high, wide = map(int, picture)
        picture = top, left, high, wide
    grid = BlockGrid(height, width, block, picture)
    active = from_rle({"size": list(grid.shape), "counts": fields["counts"]})
    return BlockMask(grid, np.ascontiguousarray(active))
