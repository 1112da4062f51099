"""The steps of a plan on one device, for any number of streams at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.device.arena import Arena
from streamdyn.engine.device.cache import DeviceCache, resident
from streamdyn.engine.device.call import Call, image_rows
from streamdyn.engine.device.kernels import Kernels
from streamdyn.engine.device.region import Choice, Region, copied, reached, regions
from streamdyn.engine.device.steps import Maker
from streamdyn.engine.plan import Plan, Step, is_map

Request = tuple[Tensor, BlockMask, DeviceCache]


class OnDevice:
    """Copy and exact propagation: a call sends its pixels at the start and waits for nothing.

    Args:
        grid: of the blocks by which every map is computed; None: each map has pixels of its own.
        like: a tensor of the device and the dtype of maps.
    """

    def __init__(self, plan: Plan, grid: BlockGrid | None, kernels: Kernels, like: Tensor) -> None:
        self._plan, self._kernels, self._like = plan, kernels, like
        self._choose: Choice = copied(plan, grid) if grid else reached(plan)
        maker = Maker(plan.graph, kernels, like)
        on_blocks = [step for step in plan.steps if not step.dense]
        self._computes = {step: maker.make(step) for step in on_blocks}
        self._dense = {
            step: resident(step.node.op, like.float()) for step in plan.steps if step.dense
        }
        shapes = plan.graph.shapes
        maps = {value for value, shape in enumerate(shapes) if is_map(shape)}
        kept = maps & (maker.beyond | _kept_whole(plan)) if grid else maps
        self.arena = Arena(shapes, kept, like)
        self._last_read = _last_read(plan)

    @property
    def device(self) -> torch.device:
        """Where images are taken and outputs given."""
        return self._like.device

    @property
    def cache_bytes(self) -> int:
        """Memory of one stream."""
        return self.arena.slot_bytes

    def new_cache(self) -> DeviceCache:
        """What the network keeps of one stream."""
        return DeviceCache(self._plan, self.arena)

    def owns(self, cache: object) -> bool:
        """Whether this backend made a cache."""
        return isinstance(cache, DeviceCache) and cache.arena is self.arena

    def parts(self, mask: BlockMask) -> dict[int, float]:
        """The fraction of its pixels that a mask makes compute at most, for each map."""
        shapes = self._plan.graph.shapes
        return {v: len(found) / prod(shapes[v][2:]) for v, found in self._choose(mask).items()}

    @torch.no_grad()
    def run(self, requests: Sequence[Request]) -> None:
        """Compute, and leave the results in the caches."""
        images, caches = [x for x, _, _ in requests], [cache for _, _, cache in requests]
        by_value = self._regions([mask for _, mask, _ in requests], caches)
        call = Call(self._plan.graph.shapes, self.arena, self._kernels, by_value[0])
        call.keep(0, image_rows(images, call.region, self._like.dtype))
        for number, step in enumerate(self._plan.steps):
            if step.dense:
                self._run_dense(step, caches)
            elif len(by_value[step.target]):
                call.region = by_value[step.target]
                call.keep(step.target, self._computes[step](call))
            call.let_go(self._last_read.get(number, ()))

    def _run_dense(self, step: Step, caches: Sequence[DeviceCache]) -> None:
        for cache in caches:
            cache.run_dense(step, self._dense[step], self._like.float())

    def _regions(
        self, masks: Sequence[BlockMask], caches: Sequence[DeviceCache]
    ) -> Mapping[int, Region]:
        """The region of each map; maps that share their pixels share it."""
        chosen = [self._choose(mask) for mask in masks]
        groups: dict[int, list[int]] = {}
        for value, pixels in chosen[0].items():
            groups.setdefault(id(pixels), []).append(value)
        made = regions(
            [[each[values[0]] for each in chosen] for values in groups.values()],
            [cache.slot for cache in caches],
            self.device,
        )
        pairs = zip(groups.values(), made, strict=True)
        return {value: region for values, region in pairs for value in values}


def _kept_whole(plan: Plan) -> set[int]:
    """The values that something other than a step on blocks reads or makes, or of one pixel."""
    found = {*plan.constants, *plan.graph.outputs}
    for step in plan.steps:
        if step.dense:
            found.update(step.reads, step.node.outputs, (step.target,))
    return found | {v for v, shape in enumerate(plan.graph.shapes) if shape[2:] == (1, 1)}


def _last_read(plan: Plan) -> dict[int, list[int]]:
    """The values that are read for the last time by a step, by its number."""
    last = {value: number for number, step in enumerate(plan.steps) for value in step.reads}
    found: dict[int, list[int]] = {}
    for value, number in last.items():
        found.setdefault(number, []).append(value)
    return found
