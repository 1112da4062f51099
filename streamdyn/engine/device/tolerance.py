"""Propagation with a tolerance on a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from streamdyn.engine.device.cache import DeviceCache
from streamdyn.engine.device.call import Call, image_rows
from streamdyn.engine.device.kernels import Kernels
from streamdyn.engine.device.network import OnDevice, Request
from streamdyn.engine.device.region import regions
from streamdyn.engine.plan import Plan
from streamdyn.engine.propagation.growth import NOTHING, Changed, image_change, reach


class ToleranceOnDevice(OnDevice):
    """Holds back what differs by no more than a tolerance from what was last passed on.

    What a step passes on decides what the next one computes, so that each waits for the device.
    """

    def __init__(self, plan: Plan, tolerance: float, kernels: Kernels, like: Tensor) -> None:
        super().__init__(plan, None, kernels, like)
        self._tolerance = tolerance

    @torch.no_grad()
    def run(self, requests: Sequence[Request]) -> None:
        """Compute, and leave the results in the caches."""
        images, caches = [x for x, _, _ in requests], [cache for _, _, cache in requests]
        key = torch.tensor([mask.density == 1 for _, mask, _ in requests], device=self.device)
        changed = [dict.fromkeys(self._plan.constants, NOTHING) for _ in requests]
        asked = [image_change(mask) for _, mask, _ in requests]
        call = self._call(asked, caches)
        rows = image_rows(images, call.region, self._like.dtype)
        self._pass_on(call, 0, rows, key, changed)
        for step in self._plan.steps:
            reached = [reach(step, each, self._plan.graph) for each in changed]
            if step.dense:
                self._run_dense(step, caches)
                for each, new in zip(changed, reached, strict=True):
                    each.update(new)
                continue
            call = self._call([new[step.target] for new in reached], caches)
            self._pass_on(call, step.target, self._computes[step](call), key, changed)

    def _call(self, asked: Sequence[Changed], caches: Sequence[DeviceCache]) -> Call:
        slots = [cache.slot for cache in caches]
        (region,) = regions([[np.flatnonzero(each) for each in asked]], slots, self.device)
        return Call(self._plan.graph.shapes, self.arena, self._kernels, region)

    def _pass_on(
        self, call: Call, value: int, rows: Tensor, key: Tensor,
        changed: Sequence[dict[int, Changed]],
    ) -> None:  # fmt: skip
        """Keep the rows that differ, and note which these are."""
        region, kept = call.region, call.own(value)
        differences = (rows.float() - kept.float()).abs().amax(1)
        # What is not a number differs from everything.
        passed = ~(differences <= self._tolerance) | key[region.streams]
        call.put(value, region.only(passed), rows[passed])
        height, width = self._plan.graph.shapes[value][2:]
        found = region.numbers[passed].cpu().numpy(), region.streams[passed].cpu().numpy()
        new = np.zeros((len(changed), height * width), bool)
        new[found[1], found[0]] = True
        for each, flags in zip(changed, new, strict=True):
            each[value] = flags.reshape(height, width)
